"""A script written for Weights & Biases reports with ours what it reports with theirs."""

from __future__ import annotations

import argparse
import copy
import inspect
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from stats_aggregator_client.integrations import wandb
from stats_aggregator_client.wire import Property, decode_series
from tests.integrations.pages import snippets, summaries_of
from tests.integrations.wandb_records import rows
from tests.worker_client.peer import Peer, Stored
from tests.worker_client.periods import periods_of

SCRIPT = """
import {module} as wandb
run = wandb.init(project="walker", name="seed-1", config={{"lr": 0.1}}, dir={directory!r})
wandb.log({{"loss": 1.0, "return": 5}})
wandb.log({{"loss": 0.5}})
wandb.log({{"loss": 0.25}}, step=10)
wandb.log({{"return": 7}}, step=10)
wandb.log({{"loss": 0.125}}, step=20, commit=True)
wandb.log({{"return": 9}})
run = wandb.init(project="another")  # is the run at hand
wandb.log({{"loss": 0.0}}, commit=False)
wandb.log({{"return": 11}})
run.log({{"loss": 2.0}})
wandb.finish()
"""


@pytest.fixture(autouse=True)
def _no_run_is_left() -> Any:
    yield
    wandb.finish()


def facts(stored: Stored) -> list[Any]:
    return [message.value for message in stored.messages if isinstance(message, Property)]


def test_steps_are_those_of_the_library(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    directory = str(tmp_path)
    code = SCRIPT.format(module="wandb", directory=directory)
    settings = 'import os; os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")\n'
    subprocess.run([sys.executable, "-c", settings + code], cwd=tmp_path, check=True, timeout=100)
    theirs = [{key: row[key] for key in ("_step", "loss", "return") if key in row} for row in rows(tmp_path)]
    ours = summaries_of(
        SCRIPT.format(module="stats_aggregator_client.integrations.wandb", directory=directory), tmp_path
    )
    assert {line["category"] for line in ours} == {"seed-1"}
    assert [
        {"_step": line["step"], **{key: stat["value"] for key, stat in line["stats"].items()}}
        for line in ours
    ] == theirs


def test_calls_name_their_arguments_as_in_the_library() -> None:
    theirs = pytest.importorskip("wandb")
    for call in ("log", "alert"):
        ours = [name for name in inspect.signature(getattr(wandb, call)).parameters if name != "_"]
        assert ours == list(inspect.signature(getattr(theirs.Run, call)).parameters)[1 : 1 + len(ours)]
    known = set(inspect.signature(theirs.init).parameters)
    assert set(inspect.signature(wandb.init).parameters) - {"_", "client"} <= known


def test_what_is_logged_pools_by_step_and_nests_by_slashes(caplog: pytest.LogCaptureFixture) -> None:
    with Peer() as peer, caplog.at_level(logging.WARNING):
        with StatsClient(peer.address) as client:
            run = wandb.init("walker", "seed-1", "ppo", {"lr": 0.1}, client=client, entity="us", tags=["a"])
            wandb.log({"a": {"b": 1.0, "c": {"d": 2}}, "none": None}, step=3)
            wandb.log({"a": {"b": np.float32(3.0)}}, step=3)
            wandb.log({"a": {"b": 4.0}}, step=5)
            wandb.log({"a": {"b": 5.0}}, step=4)
            wandb.log({"e": np.ones(3), "f": wandb.Histogram([1.0, 2.0])}, step=5)
            wandb.log_metrics({"g": 1.0}, step=5)
            wandb.log_scalar("h", np.full((1, 1), 2.0), 5)
            assert run.step == 5
        methods = {
            key: method for batch in peer.stored.batches() for key, method in decode_series(batch.series)
        }
        assert [key for key, method in methods.items() if method == StatsAggregationMethod.HISTOGRAM] == [
            "e",
            "f",
        ]
        assert periods_of(peer.stored) == {
            "ppo": [
                (3, {"a/b": [1.0, 3.0], "a/c/d": [2.0]}),
                (5, {"a/b": [4.0, 5.0], "e": [1.0] * 3, "f": [1.0, 2.0], "g": [1.0], "h": [2.0]}),
            ]
        }


def test_the_config_becomes_hyperparameters() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            wandb.init(config=argparse.Namespace(lr=0.1, layers=[64]), client=client)
            assert (wandb.config.lr, wandb.config["layers"]) == (0.1, [64])
            wandb.config.seed = 3
            assert wandb.config.as_dict() == dict(wandb.config)
            wandb.config.update({"lr": 0.2}, allow_val_change=True)
            wandb.config.setdefaults({"lr": 0.3, "gamma": 0.9})
            with pytest.raises(AttributeError):
                _ = wandb.config.absent
            assert pickle.loads(pickle.dumps(wandb.config)) == wandb.config
        assert [fact["lr"] for fact in facts(peer.stored)] == [0.1, 0.1, 0.2, 0.2]
        assert facts(peer.stored)[-1] == {"lr": 0.2, "layers": (64,), "seed": 3, "gamma": 0.9}


def test_an_alert_is_logged_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    with Peer() as peer, caplog.at_level(logging.WARNING):
        with StatsClient(peer.address) as client, wandb.init(name="r", client=client) as run:
            for step in range(2):
                wandb.log({"loss": 1.0}, step=step)
                run.alert("Diverges", "the loss is 1", level="WARN")
        assert periods_of(peer.stored) == {
            "r": [(step, {"loss": [1.0], "alert/Diverges": [1.0]}) for step in range(2)]
        }
    assert caplog.text.count("Diverges: the loss is 1") == 1


def test_what_a_daemon_has_not_is_left_out_with_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    with StatsClient("tcp://127.0.0.1:9", close_timeout_s=0) as client, caplog.at_level(logging.WARNING):
        run = wandb.init(client=client)
        for _ in range(2):
            artifact = wandb.Artifact("model", type="model")
            artifact.add_file("x")
            run.log_artifact(artifact).wait()
            run.watch(object())
            wandb.log({"frame": wandb.Image(np.zeros((2, 2))), "loss": 1.0})
            with run.mark_preempting() as nothing:
                assert list(nothing) == []
        wandb.log(None)  # type: ignore[arg-type]
        found = client.statistics()
        assert (found.values_added, found.not_numbers) == (2, 0)
    said = [record.message for record in caplog.records]
    for name in ("Artifact", "log_artifact", "watch", "Image", "mark_preempting"):
        assert sum(line.startswith(f"wandb.{name} is left out") for line in said) == 1, name


def test_whatever_is_done_with_what_is_left_out_does_nothing() -> None:
    with StatsClient("tcp://127.0.0.1:9", close_timeout_s=0) as client:
        run = wandb.init(client=client)
        assert os.path.join(run.dir, "model.pt") == "model.pt"
        assert os.path.join(run.use_artifact("data:latest").download(), "a") == "a"
        assert f"{run.url} {wandb.run.sweep_id:>3}" == " "
        assert not isinstance(1.0, (wandb.Image, wandb.Histogram, wandb.Table))
        run.tags += ("again",)
        run.notes["a"]["b"] = wandb.Api().run("a/b").history()[0] + 1
        assert not run.starting_step > 3
        assert len(run.settings) == 0
        wandb.log(
            {"frames": [wandb.Image(np.zeros((2, 2)))] * 2, "ready": wandb.Histogram(np_histogram=([], []))}
        )
        assert client.statistics().values_added == 0


def test_the_numbers_of_a_summary_count_to_the_step_at_hand() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client, wandb.init(name="r", client=client) as run:
            run.log({"loss": 1.0}, step=7)
            wandb.summary["best"] = 0.5
            run.summary.update({"test": {"return": 3}, "note": "fine"})
            assert (run.summary.best, run.summary["note"], run.summary.get("loss", 0)) == (0.5, "fine", 0)
            assert not run.summary["loss"] > 0.1
            assert pickle.loads(pickle.dumps(run.summary)) == copy.deepcopy(run.summary) == dict(run.summary)
        assert periods_of(peer.stored) == {"r": [(7, {"loss": [1.0], "best": [0.5], "test/return": [3.0]})]}


def test_a_second_init_is_the_run_at_hand_unless_it_says_otherwise() -> None:
    with StatsClient("tcp://127.0.0.1:9", close_timeout_s=0) as client:
        first = wandb.init(name="a", client=client)
        assert wandb.init(name="b", client=client) is first
        assert wandb.init(name="b", client=client, reinit="create_new") is not first
        assert wandb.run is first
        second = wandb.init(name="b", client=client, reinit="finish_previous")
        assert wandb.run is second is not first


def test_a_script_that_forgets_init_or_is_disabled_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    wandb.log({"loss": 1.0})
    assert wandb.run is not None
    wandb.finish()
    wandb.finish()
    assert wandb.run is None


@pytest.mark.parametrize(
    ("arguments", "category"),
    [
        ({"project": "p"}, "p"),
        ({"project": "p", "name": "n"}, "n"),
        ({"project": "p", "name": "n", "group": "g"}, "g"),
        ({"name": 3}, "3"),
    ],
)
def test_the_category_is_the_group_else_the_name_else_the_project(arguments: Any, category: str) -> None:
    run = wandb.init(**arguments, mode="disabled")
    assert run._axes.main.reporter.category == category


def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (code,) = snippets("wandb.md")
    lines = summaries_of(code, tmp_path)
    assert [(line["category"], line["step"]) for line in lines] == [("ppo-3", 1000 * n) for n in range(20)]
    assert {line["stats"]["train/return"]["num"] for line in lines} == {4}
    assert [line["step"] for line in lines if "eval/return" in line["stats"]] == [0, 5000, 10000, 15000]
    assert lines[-1]["stats"]["alert/Done"]["value"] == 1
