"""Promise 3: what comes out is exact over all workers, whatever they sent and when."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from stats_aggregator_client import StatsClient
from tests.system.daemons import Daemon
from tests.system.exact import exact
from tests.system.pushers import CATEGORIES, KEYS, pooled_chunks

NUM_VALUES = {0: 250_000, 1: 120_000, 2: 41_003, 3: 6_001}


def test_four_workers_pool_into_summaries_equal_to_exact_arithmetic(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "manual", "--writer", "jsonl") as daemon:
        command = [sys.executable, "-m", "tests.system.pushers", "pooled", daemon.address, "run"]
        workers = [subprocess.Popen([*command, str(worker), str(num)]) for worker, num in NUM_VALUES.items()]
        assert [worker.wait(120) for worker in workers] == [0, 0, 0, 0]
        with StatsClient(daemon.address, run="run") as client:
            for category in CATEGORIES:
                client.reporter(category).write_stats(1000)
            assert client.flush(30)
        assert daemon.stop() == 0
        summaries = {line["category"]: line for line in daemon.summaries("run")}

    pooled: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for worker, num in NUM_VALUES.items():
        for category, key, values in pooled_chunks(worker, num):
            pooled[category, key] += values.tolist()
    assert len(pooled) == len(CATEGORIES) * len(KEYS)
    for line in summaries.values():
        # Four that sent values, and the one that wrote the step.
        assert (line["step"], line["workers_reporting"], line["lost"], line["late"]) == (1000, 5, 0, 0)
        assert set(line["stats"]) == set(KEYS)
    for (category, key), values in pooled.items():
        found, expected = summaries[category]["stats"][key], exact(values)
        assert (found["num"], found["min"], found["max"]) == (len(values), expected.min, expected.max)
        assert found["mean"] == pytest.approx(expected.mean, rel=1e-12, abs=0)
        assert found["std"] == pytest.approx(expected.std, rel=1e-12, abs=0)
        assert found["sum"] == pytest.approx(expected.sum, rel=0, abs=1e-12 * expected.magnitude)
        assert found["exact"] is True
        for q in (5, 25, 50, 75, 95):
            assert found[f"p{q}"] == np.percentile(values, q, method="inverted_cdf")


def test_last_is_the_latest_value_by_time_over_all_workers(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "manual", "--writer", "jsonl") as daemon:
        for worker in ("b", "a"):
            with StatsClient(daemon.address, worker=worker, run="run") as client:
                reporter = client.reporter("gauges")
                for value in (1.0, 2.0, 3.0 if worker == "b" else 4.5):
                    reporter.set_stat("level", value)
                reporter.add_stat("reward", 7.0 if worker == "b" else 8.0)
                assert client.flush(30)
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("gauges").write_stats(1)
            assert client.flush(30)
        assert daemon.stop() == 0
        stats = daemon.summaries("run")[0]["stats"]
    # A gauge pools the latest value of each worker; its sum is the fleet's total.
    assert (
        stats["level"] | {"value": 4.5, "num": 2, "sum": 7.5, "mean": 3.75, "min": 3.0, "max": 4.5}
        == stats["level"]
    )
    assert (stats["level"]["min_worker"], stats["level"]["max_worker"]) == ("b", "a")
    assert stats["reward"]["last"] == 8.0
