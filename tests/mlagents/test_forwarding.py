"""ML-Agents as a source: what its trainers report stands in a daemon's summaries."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.dispatch.plugins import discover
from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredProperty
from stats_aggregator_api import ML_AGENTS_STATS_WRITER
from tests.system.daemons import Daemon

FORWARDING = "ForwardingWriter"
HYPERPARAMETERS = {"batch_size": 512, "network_settings": {"hidden_units": 128}}


def periods(seed: int, num: int) -> list[Any]:
    """Periods of two behaviors, every other key of each."""
    source = random.Random(seed)
    methods = {"reward": "AVERAGE", "goals": "SUM", "lengths": "HISTOGRAM", "rate": "MOST_RECENT"}
    return [
        [
            category,
            1000 * (period + 1),
            [
                [key, method, [source.gauss(1e6, 1.0) for _ in range(source.randrange(1, 300))]]
                for place, (key, method) in enumerate(methods.items())
                if (place + period) % 3
            ],
        ]
        for period in range(num)
        for category in ("3DBall", "Walker?team=1")
    ]


def train(python: str, directory: Path, reported: list[Any], run_id: str = "ppo", **environment: str) -> Any:
    """Return what a training says of its writers, and of its figures."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STATS_AGGREGATOR_")}
    training = {
        "run_id": run_id,
        "results": str(directory / "theirs"),
        "property": HYPERPARAMETERS,
        "periods": reported,
    }
    done = subprocess.run(
        [python, str(Path(__file__).with_name("training.py"))],
        input=json.dumps(training),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={**kept, **environment},
    )
    return {**json.loads(done.stdout), "err": done.stderr}


def test_a_daemon_does_not_load_what_feeds_daemons() -> None:
    (entry,) = entry_points(group=ML_AGENTS_STATS_WRITER, name="stats-aggregator")
    assert entry.dist is not None
    assert entry.dist.name == "stats-aggregator-client"
    assert [plugin.entry.name for plugin in discover() if plugin.entry.distribution == entry.dist.name] == []


def test_what_a_training_reports_is_what_the_daemon_says(real_python: str, tmp_path: Path) -> None:
    reported = periods(7, 5)
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        told = train(
            real_python, tmp_path, reported, "first-try",
            STATS_AGGREGATOR_ADDRESS=daemon.address, STATS_AGGREGATOR_WORKER="trainer",
        )  # fmt: skip
        assert daemon.stop() == 0
        lines = daemon.summaries("first-try")
    assert FORWARDING in told["writers"]
    assert "TensorboardWriter" in told["writers"], "ML-Agents' own writers go on as before"
    for category in ("3DBall", "Walker?team=1"):
        ours = [line for line in lines if line["category"] == category]
        theirs = [
            (step, figures)
            for (name, step, _), figures in zip(reported, told["figures"], strict=True)
            if name == category
        ]
        assert [line["step"] for line in ours] == [step for step, _ in theirs]
        for line, (_, figures) in zip(ours, theirs, strict=True):
            assert (line["workers_reporting"], line["lost"], line["late"]) == (1, 0, 0)
            assert set(line["stats"]) == set(figures)
            for key, expected in figures.items():
                found = line["stats"][key]
                assert found["num"] == expected["num"]
                for name in ("mean", "sum"):
                    assert found[name] == pytest.approx(expected[name], rel=1e-12)
                assert found["std"] == pytest.approx(expected["std"], rel=1e-8, abs=1e-9)  # numpy's, at 1e6
                assert found["value"] == pytest.approx(expected["aggregated_value"], rel=1e-12)
    with closing(Store(tmp_path / "data" / "store.sqlite", durability="none")) as store:
        position, properties = 0, []
        while (entry := store.next_entry("first-try", position)) is not None:
            position = entry.position
            properties += [entry.value] if isinstance(entry, StoredProperty) else []
    assert properties == [HYPERPARAMETERS] * 2


def test_trainings_of_one_run_meet_in_it(real_python: str, tmp_path: Path) -> None:
    nums: Counter[str] = Counter()
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        for seed in range(2):
            reported = periods(seed, 2)
            train(
                real_python, tmp_path, reported, f"ignored-{seed}", STATS_AGGREGATOR_ADDRESS=daemon.address,
                STATS_AGGREGATOR_RUN_ID="fleet", STATS_AGGREGATOR_WORKER=f"trainer-{seed}",
            )  # fmt: skip
            for _, _, series in reported:
                nums.update({key: len(values) for key, method, values in series if method != "MOST_RECENT"})
        workers = {worker["worker"] for worker in daemon.status()["workers"]}
        assert daemon.stop() == 0
        lines = daemon.summaries("fleet")
    assert workers == {"trainer-0", "trainer-1"}
    found: Counter[str] = Counter()
    for line in lines:
        found.update({key: stat["num"] for key, stat in line["stats"].items() if key != "rate"})
    assert found == nums


@pytest.mark.parametrize(
    ("address", "said"),
    [(None, ""), ("off", ""), ("nowhere", "not forwarded: STATS_AGGREGATOR_ADDRESS is 'nowhere'")],
)
def test_without_a_daemon_to_forward_to_a_training_is_as_before(
    real_python: str, tmp_path: Path, address: str | None, said: str
) -> None:
    reported = periods(3, 1)
    environment = {"STATS_AGGREGATOR_ADDRESS": address} if address else {}
    told = train(real_python, tmp_path, reported, **environment)
    assert [len(figures) for figures in told["figures"]] == [len(series) for _, _, series in reported]
    assert FORWARDING not in told["writers"]
    assert said in told["err"]
