"""What an adapter costs beside the library whose shape it has, where an environment has that."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.row import Row

PYTHON = Path(__file__).parents[2] / ".venv-integrations" / "bin" / "python"
_ROUNDS, _STEPS = 7, 200
NUMBERS = {f"losses/{key}": 1.5 for key in range(10)}

Log = Callable[[int], Any]
"""Logs `NUMBERS` at a step."""


def measure(file: str, what: str, library: str) -> list[Row]:
    """Return the cost of what the main program of `file` compares, its period's end among it."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run([PYTHON, file], capture_output=True, text=True, check=True, env=environment)
    theirs_us, ours_us = json.loads(done.stdout.splitlines()[-1])
    return [Row(what, ours_us, "us", library, ours_us / theirs_us)]


def compare(make: Callable[[str], tuple[Log, Log]]) -> None:
    """Print what a step costs with theirs and with ours, which `make` makes, given a directory; and end."""
    warnings.simplefilter("ignore")
    costs: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        logs = make(directory)
        for round_ in range(_ROUNDS):  # in turns: a machine is not as fast as a moment ago
            for log, found in zip(logs, costs, strict=True):
                found.append(_cost_us(log, round_ * _STEPS))
    print(json.dumps([statistics.median(found) for found in costs]), flush=True)
    os._exit(0)  # nobody listens to what was logged


def _cost_us(log: Log, first: int) -> float:
    began = time.perf_counter()
    for step in range(first, first + _STEPS):
        log(step)
    return (time.perf_counter() - began) / _STEPS * 1e6
