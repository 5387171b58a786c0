"""What `log` costs a script, beside what it costs with W&B's own package, offline.

Run by `make bench` in the environment that has it, where there is one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).parents[2] / ".venv-integrations" / "bin" / "python"
_ROUNDS, _STEPS, _KEYS = 7, 200, 10


def measure_wandb() -> list[dict[str, Any]]:
    """Return the cost of one `log` of ten numbers, the end of its period among it."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    done = subprocess.run([PYTHON, __file__], capture_output=True, text=True, check=True, env=environment)
    theirs_us, ours_us = json.loads(done.stdout.splitlines()[-1])
    return [
        {
            "what": "one log of W&B's shape, ten numbers and a step",
            "figure": ours_us,
            "unit": "us",
            "beside": f"{theirs_us:.0f} us with W&B's own, offline, {ours_us / theirs_us:.0%}",
        }
    ]


def _main() -> None:
    warnings.simplefilter("ignore")
    import wandb as theirs

    from stats_aggregator_client.integrations import wandb as ours

    numbers = {f"losses/{key}": 1.5 for key in range(_KEYS)}

    def cost_us(log: Any, first: int) -> float:
        began = time.perf_counter()
        for step in range(first, first + _STEPS):
            log(numbers, step=step)
        return (time.perf_counter() - began) / _STEPS * 1e6

    costs: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        run = theirs.init(mode="offline", dir=directory, settings=theirs.Settings(silent=True))
        logs = (run.log, ours.init(name="bench").log)
        for round_ in range(_ROUNDS):  # in turns: a machine is not as fast as a moment ago
            for log, found in zip(logs, costs, strict=True):
                found.append(cost_us(log, round_ * _STEPS))
        run.finish()
    print(json.dumps([statistics.median(found) for found in costs]), flush=True)
    os._exit(0)  # nobody listens to what was logged


if __name__ == "__main__":
    _main()
