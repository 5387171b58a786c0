"""Lightning's real Trainer with our logger, on one rank and on two."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.pages import snippets, summaries_of

pytest.importorskip("lightning")

# Two ranks: Lightning starts the script again for the second one.
RANKS = """
import lightning, os, torch
from stats_aggregator_client import default_client
from stats_aggregator_client.integrations.lightning import StatsLogger

class Ranks(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        if index == 10:  # from here on the daemon knows of both: a period waits for whom it knows
            assert default_client().flush(30)
            torch.distributed.barrier()
        self.log("rank", float(self.global_rank))
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

data = torch.utils.data.DataLoader(torch.randn(80, 1), batch_size=4)
trainer = lightning.Trainer(
    max_epochs=1, logger=StatsLogger("ranks"), log_every_n_steps=1, accelerator="cpu", devices=2,
    strategy="ddp", enable_progress_bar=False, enable_checkpointing=False,
)
trainer.fit(Ranks(), data)
"""


def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (code,) = snippets("lightning.md")
    lines = summaries_of(code, tmp_path)
    assert {line["category"] for line in lines} == {"line"}
    losses = {line["step"]: line["stats"]["train/loss"] for line in lines if "train/loss" in line["stats"]}
    assert sorted(losses) == list(range(1, 24, 2)), "the trainer's own steps"
    assert losses[23]["value"] < losses[1]["value"]
    assert [line["step"] for line in lines if "val/loss" in line["stats"]] == [7, 15, 23]
    assert list(tmp_path.glob("line/run/checkpoints/*.ckpt")), "where the logger says"


def test_every_rank_reports(tmp_path: Path) -> None:
    lines = summaries_of(RANKS, tmp_path)
    found: dict[float, int] = {0.0: 0, 1.0: 0}
    for line in lines:
        stat = line["stats"]["rank"]
        found[1.0] += round(stat["sum"])
        found[0.0] += stat["num"] - round(stat["sum"])
    assert found == {0.0: 10, 1.0: 10}
    assert max(line["workers_reporting"] for line in lines) == 2, "the ranks pool"


def test_an_older_name_of_the_package_does_too(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    code = """
import pytorch_lightning
from stats_aggregator_client.integrations.lightning import StatsLogger
assert isinstance(StatsLogger("x"), pytorch_lightning.loggers.Logger)
logger = StatsLogger("x")
logger.log_metrics({"a": 1.0, "b": {"c": 2}}, step=3)
logger.experiment.add_scalar("d", 3.0, 3)
logger.finalize("success")
"""
    (line,) = summaries_of(code, tmp_path)
    values: dict[str, Any] = {key: stat["value"] for key, stat in line["stats"].items()}
    assert (line["step"], values) == (3, {"a": 1.0, "b/c": 2.0, "d": 3.0})


def test_it_travels_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from stats_aggregator_client import StatsClient
    from stats_aggregator_client.integrations.lightning import StatsLogger

    monkeypatch.setenv("STATS_AGGREGATOR_ADDRESS", "off")
    with StatsClient("off") as client:
        logger = StatsLogger("x", client)
        logger.log_metrics({"a": 1.0}, 1)
        assert pickle.loads(pickle.dumps(logger)).name == "x"
