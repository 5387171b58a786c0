"""A script written for TensorBoard's SummaryWriter draws with ours what it draws with PyTorch's."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.store.store import Store
from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations.tensorboard import SummaryWriter, category_of
from tests.integrations.pages import snippets, summaries_of
from tests.system.daemons import Daemon
from tests.worker_client.peer import Peer
from tests.worker_client.periods import periods_of

OURS = "stats_aggregator_client.integrations.tensorboard"
THEIRS = "torch.utils.tensorboard"
SCRIPT = """
import numpy as np
from {module} import SummaryWriter

writer = SummaryWriter("runs/CartPole-v1__ppo__1")
writer.add_text("hyperparameters", "|param|value|\\n|-|-|\\n|lr|0.1|\\n|env|a|b|")
for update in range(5):
    global_step = 128 * (update + 1)
    writer.add_scalar("charts/episodic_return", 20.0 + update, global_step)
    writer.add_scalar("losses/value_loss", 1.0 / (1 + update), global_step)
    writer.add_scalars("rates", {{"clip": 0.2, "learning": 0.1 * update}}, global_step, 12.5)
    writer.add_scalar("eval/episodic_return", 30.0 + update, update)
    writer.add_scalar(tag="eval/episodic_length", scalar_value=9 * update, global_step=update)
writer.flush()
writer.add_histogram("weights", np.array([[0.0, 1.0], [1.0, 5.0]]), 128 * 6)
writer.close()
"""


def run(code: str, directory: Path, **environment: str) -> None:
    (directory / "train.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=directory,
        env={**os.environ, "STATS_AGGREGATOR_RUN_ID": "run", **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def drawn(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points by tag that TensorBoard reads below a directory."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points: dict[str, list[tuple[int, float]]] = {}
    for path in sorted({file.parent for file in directory.rglob("events.out.tfevents*")}):
        events = EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            points.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return {tag: sorted(found) for tag, found in points.items()}


def test_a_changed_import_line_is_all(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run(SCRIPT.format(module=THEIRS), tmp_path)
    with Daemon(tmp_path / "daemon", "--writer", "tensorboard", "--writer", "jsonl") as daemon:
        run(SCRIPT.format(module=OURS), tmp_path, STATS_AGGREGATOR_ADDRESS=daemon.address)
        assert daemon.stop() == 0
        lines = daemon.summaries("run")
    theirs, ours = drawn(tmp_path / "runs"), drawn(daemon.results)
    # PyTorch writes what `add_scalars` takes into a run of its own for each, all of them by one tag.
    assert sorted(theirs.pop("rates")) == sorted(ours.pop("rates/clip") + ours.pop("rates/learning"))
    assert ours.pop("weights") == [(768, 1.75)], "beside its histogram a distribution has its mean"
    assert ours == theirs
    assert {line["category"] for line in lines} == {"CartPole-v1__ppo__1", "CartPole-v1__ppo__1/eval"}
    (weights,) = [line["stats"]["weights"] for line in lines if "weights" in line["stats"]]
    assert (weights["aggregation"], weights["num"], weights["p50"]) == ("HISTOGRAM", 4, 1.0)


def test_texts_and_hyperparameters_are_told(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        with StatsClient(daemon.address, run="run") as client, SummaryWriter("x", client=client) as writer:
            writer.add_text("hyperparameters", "|param|value|\n|-|-|\n|lr|0.1|\n|env|a|b|")
            writer.add_text("machine", "|part|what|\n|-|-|\n|gpu|none|")
            writer.add_text("notes", "free | text", 4)
            writer.add_hparams({"gamma": 0.99}, {"hparam/return": 17.0}, None, "name", 5)
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
        store = Store(tmp_path / "data" / "store.sqlite", durability="none")
        entries, position = [], 0
        while (entry := store.next_entry("run", position)) is not None:
            position = entry.position
            entries.append(entry)
        store.close()
    facts = [entry.value for entry in entries if hasattr(entry, "type")]
    assert facts[-1] == {
        "lr": "0.1",
        "env": "a|b",
        "machine": {"gpu": "none"},
        "notes": "free | text",
        "gamma": 0.99,
    }
    assert (line["step"], line["stats"]["hparam/return"]["value"]) == (5, 17.0)


RANKS, STEPS, ENVS = 3, 6, 4


def rank(address: str, number: int, barrier: Any) -> None:
    with StatsClient(address, worker=f"rank-{number}", run="run") as client:
        writer = SummaryWriter("runs/ddp", client=client)
        for step in range(0, 10 * STEPS, 10):
            for env in range(ENVS):
                writer.add_scalar("return", 100.0 * step + 10 * number + env, step)
            writer.flush()
            assert client.flush(30)
            barrier.wait(60)
        writer.close()


def test_the_values_of_one_step_pool_over_environments_and_ranks(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--grace", "60s", "--writer", "jsonl") as daemon:
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(RANKS)
        ranks = [context.Process(target=rank, args=(daemon.address, n, barrier)) for n in range(RANKS)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(100)
        assert [process.exitcode for process in ranks] == [0] * RANKS
        assert daemon.stop() == 0
        lines = daemon.summaries("run")
    assert sum(line["stats"]["return"]["num"] for line in lines) == RANKS * STEPS * ENVS
    # Until each has ended a step the daemon cannot know for whom to wait: the late count to the next one.
    pooled = {line["step"]: line for line in lines if line["step"] >= 20}
    assert len(pooled) == STEPS - 2
    for step, line in pooled.items():
        values = [100.0 * step + 10 * number + env for number in range(RANKS) for env in range(ENVS)]
        found = line["stats"]["return"]
        assert (found["num"], found["mean"]) == (len(values), pytest.approx(sum(values) / len(values)))
        assert (found["min"], found["max"], line["workers_reporting"]) == (min(values), max(values), RANKS)


def test_what_cannot_be_logged_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with (
        StatsClient("tcp://127.0.0.1:9", close_timeout_s=0) as client,
        SummaryWriter("x", client=client) as writer,
    ):
        for odd in (None, 3, ["a"], object()):
            writer.add_scalars("main", odd, 1)  # type: ignore[arg-type]
            writer.add_hparams(odd, odd)  # type: ignore[arg-type]
            writer.add_scalar(odd, odd, odd)  # type: ignore[arg-type]
            writer.add_histogram(odd, odd, odd)  # type: ignore[arg-type]
            writer.add_text(odd, odd, odd)  # type: ignore[arg-type]
        assert client.statistics().values_added == 0
    assert "None is no mapping of names to numbers" in caplog.text
    assert SummaryWriter("x", category=3, client=client).logdir == "x"  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [THEIRS, "tensorboardX"])
def test_calls_name_their_arguments_as_in_the_library(module: str) -> None:
    pytest.importorskip(module.partition(".")[0])
    theirs = importlib.import_module(module).SummaryWriter

    def names(call: Callable[..., Any]) -> list[str]:
        kinds = (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.KEYWORD_ONLY,
        )
        return [
            name
            for name, parameter in inspect.signature(call).parameters.items()
            if parameter.kind not in kinds and name not in ("_", "__")
        ]

    calls = ["add_scalar", "add_scalars", "add_histogram", "add_text", "flush", "close"]
    if module == THEIRS:  # the other one calls the third of add_hparams otherwise
        calls += ["__init__", "add_hparams"]
    for call in calls:
        ours = names(getattr(SummaryWriter, call))
        assert ours == names(getattr(theirs, call))[: len(ours)], call


@pytest.mark.parametrize(
    "variable", ["STATS_AGGREGATOR_ADDRESS", "STATS_AGGREGATOR_WORKER", "STATS_AGGREGATOR_RUN_ID"]
)
def test_what_is_wrong_with_the_environment_is_said_and_stops_nobody(variable: str) -> None:
    code = f"from {OURS} import SummaryWriter\nwith SummaryWriter() as w: w.add_scalar('a', 1.0, 1)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, variable: "no\nname"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert f"no stats are sent: {variable} is 'no\\nname'" in done.stderr


@pytest.mark.parametrize(
    ("log_dir", "category"),
    [
        ("runs/CartPole__1", "CartPole__1"),
        ("./runs/a/b/", "a/b"),
        ("logs", "logs"),
        ("runs", "runs"),
        ("/scratch/x/tb", "scratch/x/tb"),
        (os.path.join(os.getcwd(), "runs", "x"), "x"),
        ("a\nb", "a_b"),
        (".", "training"),
    ],
)
def test_the_category_is_the_directory(log_dir: str, category: str) -> None:
    with StatsClient("off") as client:
        writer = SummaryWriter(log_dir, client=client)
    assert writer._axes.main.reporter.category == category
    assert writer.get_logdir() == log_dir
    assert category_of(log_dir) in (category, log_dir, "")


def test_a_closed_writer_goes_on_where_it_is_used_again() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            writer = SummaryWriter("w", client=client)
            for step in (1, 2):
                writer.add_scalar("a", step, step)
                writer.close()
        assert periods_of(peer.stored) == {"w": [(1, {"a": [1.0]}), (2, {"a": [2.0]})]}


def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (code,) = snippets("tensorboard.md")
    lines = summaries_of(code, tmp_path)
    assert {line["category"] for line in lines} == {"CartPole-v1__random"}
    assert [line["step"] for line in lines] == list(range(0, 800, 8))
    returns = [
        line["stats"]["charts/episodic_return"] for line in lines if "charts/episodic_return" in line["stats"]
    ]
    assert sum(stat["num"] for stat in returns) > len(returns) > 10, "several environments at one step"
