"""Stable-Baselines3 as a source: what its own logs say of a training is what is reported."""

from __future__ import annotations

import csv
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="make test-integrations has Stable-Baselines3")

import gymnasium
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.logger import HParam, Logger, Video
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType
from stats_aggregator_client import StatsClient
from stats_aggregator_client.integrations.allowance import Allowance
from stats_aggregator_client.integrations.episodes import LENGTH, RETURN
from stats_aggregator_client.integrations.gymnasium import ReportEpisodes
from stats_aggregator_client.integrations.stable_baselines3 import StatsCallback, StatsKVWriter
from stats_aggregator_client.wire import Property, Rewind, Write, decode_series
from tests.integrations.sb3_training import ROLLOUT_STEPS, ROLLOUTS, Difficult
from tests.integrations.snippets import run_snippet, snippets
from tests.meta.repository import ROOT
from tests.system.daemons import Daemon
from tests.worker_client.peer import Peer


def train(directory: Path, daemon: Daemon, start_method: str, num_envs: int, end: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STATS_AGGREGATOR_")}
    told = {
        "STATS_AGGREGATOR_ADDRESS": daemon.address,
        "STATS_AGGREGATOR_RUN_ID": "run",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.integrations.sb3_training",
            directory,
            start_method,
            str(num_envs),
            end,
        ],
        env={**kept, **told},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def monitored(directory: Path) -> list[tuple[float, int]]:
    """Return the union of Monitor's files: each episode's return and length."""
    found = []
    for path in sorted(directory.glob("*.monitor.csv")):
        rows = csv.DictReader(path.read_text().splitlines()[1:])
        found += [(float(row["r"]), int(row["l"])) for row in rows]
    return found


def pooled(lines: list[dict[str, Any]], key: str) -> dict[str, float]:
    stats = [line["stats"][key] for line in lines if key in line["stats"]]
    return {
        "num": sum(stat["num"] for stat in stats),
        "sum": sum(stat["sum"] for stat in stats),
        "min": min(stat["min"] for stat in stats),
        "max": max(stat["max"] for stat in stats),
    }


def of(values: Any) -> dict[str, float]:
    return {"num": len(values), "sum": sum(values), "min": min(values), "max": max(values)}


@pytest.mark.parametrize(
    ("start_method", "num_envs", "end"), [("fork", 8, "leave"), ("forkserver", 2, "close")]
)
def test_a_trainings_returns_are_the_union_of_monitors_files(
    tmp_path: Path, start_method: str, num_envs: int, end: str
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    config = tmp_path / "config.toml"
    # One period, so that each worker's part is in it however slowly the machine trains.
    config.write_text('[periods]\nCartPole = "1h"\n')
    with Daemon(tmp_path, "--writer", "jsonl", "--config", str(config)) as daemon:
        train(logs, daemon, start_method, num_envs, end)
        assert daemon.stop() == 0
        lines = daemon.summaries("run")
    by_category = {
        name: [line for line in lines if line["category"] == name] for name in ("CartPole", "PPO", "Custom")
    }
    assert sum(line["lost"] + line["uncertain"] for line in lines) == 0
    episodes = monitored(logs)
    assert len(episodes) > 4 * num_envs
    returns, lengths = zip(*episodes, strict=True)
    assert pooled(by_category["CartPole"], RETURN) == of(returns)
    assert pooled(by_category["CartPole"], LENGTH) == of(lengths)
    num_steps = ROLLOUTS * ROLLOUT_STEPS * num_envs
    (line,) = by_category["CartPole"]
    assert (line["step"], line["workers_reporting"]) == (num_steps, num_envs)
    check_dumps(by_category["PPO"], logs / "progress.csv", num_envs)
    if end == "leave":
        custom = by_category["Custom"]
        each = [float(index) for index in range(num_envs)]
        assert pooled(custom, "Info/speed") == of(each * (ROLLOUTS * ROLLOUT_STEPS))
        assert pooled(custom, "Env/difficulty") == of(each * ROLLOUTS)
        assert pooled(custom, "Info/is_success") == of([float(length == 30) for length in lengths])


def check_dumps(lines: list[dict[str, Any]], progress: Path, num_envs: int) -> None:
    """Each dump is a period with the numbers that Stable-Baselines3's own CSV has."""
    rows = list(csv.DictReader(progress.read_text().splitlines()))
    assert [line["step"] for line in lines] == [
        ROLLOUT_STEPS * num_envs * (dump + 1) for dump in range(ROLLOUTS)
    ]
    assert len(rows) == len(lines)
    for line, row in zip(lines, rows, strict=True):
        assert {key: stat["value"] for key, stat in line["stats"].items()} == {
            key: pytest.approx(float(text), rel=1e-6) for key, text in row.items() if text
        }
    assert len(lines[-1]["stats"]) > 10


def writes(peer: Peer) -> list[tuple[str, int]]:
    return [(type(m).__name__, m.step) for m in peer.stored.messages if isinstance(m, (Write, Rewind))]


def test_record_and_dump_mean_what_they_mean_to_the_logger(peer: Peer, client: StatsClient) -> None:
    logger = Logger(None, [StatsKVWriter("PPO", client=client)])
    for value in (1.0, 2.0, 3.0):
        logger.record("last", value)
        logger.record_mean("mean", value)
    logger.record("array", np.arange(4.0))
    logger.record("tensor", torch.ones(3, requires_grad=True))
    logger.record("scalar tensor", torch.tensor(0.5))
    logger.record("half", np.float16(0.5))
    logger.record("kept from here", 1.0, exclude=("stats_aggregator", "csv"))
    logger.record("kept from others", 1, exclude="tensorboard")
    logger.record("video", Video(torch.zeros(1, 1, 3, 4, 4), 30))
    logger.record("text", "1.0")
    logger.record("hparams", HParam({"lr": 0.1, "algorithm": "PPO"}, {"rollout/ep_rew_mean": 0.0}))
    logger.dump(100)
    logger.record("last", 4.0)
    logger.dump(200)
    logger.close()
    assert client.flush(20)
    assert peer.stored.values("PPO") == {
        "last": [3.0, 4.0],
        "mean": [2.0],
        "array": [0.0, 1.0, 2.0, 3.0],
        "tensor": [1.0] * 3,
        "scalar tensor": [0.5],
        "half": [0.5],
        "kept from others": [1.0],
    }
    assert writes(peer) == [("Write", 100), ("Write", 200)]
    kinds = {key: method for batch in peer.stored.batches() for key, method in decode_series(batch.series)}
    assert kinds["array"] == kinds["tensor"] == StatsAggregationMethod.HISTOGRAM
    (fact,) = [message for message in peer.stored.messages if isinstance(message, Property)]
    assert (fact.type, fact.value) == (
        StatsPropertyType.HYPERPARAMETERS.value,
        {"lr": 0.1, "algorithm": "PPO"},
    )
    assert client.statistics().not_numbers == 2


class Odd:
    """Has no shape to ask for."""

    @property
    def shape(self) -> tuple[int, ...]:
        raise RuntimeError("ask somebody else")


def test_a_dump_ends_its_period_whatever_was_recorded(
    peer: Peer, client: StatsClient, caplog: pytest.LogCaptureFixture
) -> None:
    logger = Logger(None, [StatsKVWriter("PPO", client=client)])
    for step in (100, None, torch.tensor(300)):
        logger.record("a", 1.0)
        logger.record("odd", Odd())
        logger.record("z", 2.0)
        logger.dump(step)
    assert client.flush(20)
    assert peer.stored.values("PPO") == {"a": [1.0] * 3, "z": [2.0] * 3}
    assert writes(peer) == [("Write", 100), ("Write", 100), ("Write", 300)]
    assert caplog.messages == ["odd was not reported: RuntimeError: ask somebody else"]


@pytest.mark.parametrize("vector", [DummyVecEnv, SubprocVecEnv])
def test_an_attribute_that_no_environment_has_ends_no_training(
    peer: Peer, client: StatsClient, vector: Any, caplog: pytest.LogCaptureFixture
) -> None:
    env = VecNormalize(VecMonitor(vector([lambda: Difficult(gymnasium.make("CartPole-v1"), 2.0)] * 2)))
    attributes = ["absent", "difficulty"]
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1)
    model.learn(32, callback=StatsCallback("own", client=client, attributes=attributes))
    assert peer.stored.values("own") == {"Env/difficulty": [2.0] * 4}
    assert caplog.messages == [
        "a step of 'own' was not reported: AttributeError: not every environment has 'absent'"
    ]
    env.close()


class Waits(ReportEpisodes):
    """Takes its time to deliver."""

    def deliver_stats(self, timeout: Any = 5.0) -> bool:
        left.append(float(timeout))
        return super().deliver_stats(timeout)


left: list[float] = []


def test_environments_of_one_process_share_the_time_to_deliver(peer: Peer, client: StatsClient) -> None:
    env = DummyVecEnv([lambda: Waits(gymnasium.make("CartPole-v1"), "play", client=client)] * 3)
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, n_epochs=1).learn(24, callback=StatsCallback("own"))
    assert 5 > left[0] > left[1] > left[2] > 0
    assert 0 <= float(pickle.loads(pickle.dumps(Allowance(7)))) < 7
    assert float(Allowance(0)) == 0


def test_a_training_begun_anew_rewinds_and_a_dump_without_a_step_does_not(
    peer: Peer, client: StatsClient
) -> None:
    logger = Logger(None, [StatsKVWriter("PPO", client=client)])
    for step in (100, 200, None, 50, 100):
        logger.record("x", 1.0)
        logger.dump() if step is None else logger.dump(step)
    assert client.flush(20)
    assert writes(peer) == [
        ("Write", 100), ("Write", 200), ("Write", 200), ("Rewind", 50), ("Write", 50), ("Write", 100),
    ]  # fmt: skip


def test_where_the_environments_settings_are_wrong_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATS_AGGREGATOR_ADDRESS", "nowhere")
    monkeypatch.setattr("stats_aggregator_client.default._client", None)
    logger = Logger(None, [StatsKVWriter("PPO")])
    logger.record("x", 1.0)
    logger.dump(1)
    assert "no stats are sent: STATS_AGGREGATOR_ADDRESS is 'nowhere'" in caplog.text


def test_a_callback_reports_from_an_off_policy_training_too(peer: Peer, client: StatsClient) -> None:
    env = ReportEpisodes(Difficult(gymnasium.make("CartPole-v1"), 2.0), "play", client=client)
    model = DQN("MlpPolicy", env, learning_starts=1000, buffer_size=100)
    model.learn(
        60, callback=StatsCallback("own", client=client, step_keys=["speed"], attributes=["difficulty"])
    )
    values = peer.stored.values("own")
    assert values["Info/speed"] == [2.0] * 60
    assert set(values["Env/difficulty"]) == {2.0}
    assert sum(batch.steps for batch in peer.stored.batches("play")) == 60, "delivered when it ends"


PAGE = "worker_client/docs/stable_baselines3.md"


def test_the_pages_snippet_runs_as_it_stands_there(tmp_path: Path) -> None:
    (block,) = snippets(PAGE)
    lines = run_snippet(block, tmp_path)
    played = [line for line in lines if line["category"] == "CartPole"]
    assert played[-1]["step"] == 512
    assert 0 < pooled(played, RETURN)["sum"] <= 512, "CartPole rewards each step with 1"
    assert [line["step"] for line in lines if line["category"] == "PPO"] == [128, 256, 384, 512]
    assert len((ROOT / PAGE).read_text().splitlines()) <= 60
