"""What a daemon that does not answer costs the training: a loop with it alive, and with it stopped."""

from __future__ import annotations

import logging
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from stats_aggregator_client import StatsClient, StatsReporter
from tests.bench.row import Row
from tests.system.daemons import Daemon

_ROUNDS, _SECONDS, _KEYS = 5, 2.0, 50


def _steps_per_s(reporter: StatsReporter, first_step: int) -> float:
    """Return how often a second a loop comes around: some mathematics, and a stat for each key."""
    names = [f"Environment/key {i}" for i in range(_KEYS)]
    matrix = np.random.default_rng(1).normal(size=(128, 128))
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < _SECONDS:
        matrix = np.tanh(matrix @ matrix)
        for name in names:
            reporter.add_stat(name, 0.5)
        steps += 1
        if steps % 1000 == 0:
            reporter.write_stats(first_step + steps)
    return steps / (time.perf_counter() - began)


def measure_paused() -> list[Row]:
    """Return the loop's speed beside a daemon that is stopped, and the ratio to one that runs."""
    logging.getLogger("stats_aggregator_client").setLevel(logging.CRITICAL)  # it would say so
    alive, stopped = [], []
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), "--writer", "jsonl") as daemon,
        StatsClient(daemon.address, run="bench") as client,
    ):
        reporter, step = StatsReporter("bench", client), 0
        for _ in range(_ROUNDS):  # in turn, so that both meet the same noise
            alive.append(_steps_per_s(reporter, step := step + 1_000_000))
            os.kill(daemon.pid, signal.SIGSTOP)
            stopped.append(_steps_per_s(reporter, step := step + 1_000_000))
            os.kill(daemon.pid, signal.SIGCONT)
            assert client.flush(60), client.statistics()
        assert client.statistics().values_lost == 0
    ratio = statistics.median(stopped) / statistics.median(alive)
    return [
        Row(
            f"a training loop with {_KEYS} stats a step, the daemon stopped",
            statistics.median(stopped),
            "steps/s",
            "with the daemon running",
            ratio,
            higher_is_better=True,
        )
    ]
