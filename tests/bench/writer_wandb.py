"""What a period costs the thread of the W&B writer, beside `Run.log` alone, which confirms nothing.

Run by `make bench` in the environment that has wandb, where there is one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.row import Row

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-integrations" / "bin" / "python"
_ROUNDS, _PERIODS, _KEYS = 5, 20, 50


def measure_wandb_writer() -> list[Row]:
    """Return the cost of one period of 50 keys, until it is durable in the run's file."""
    if not PYTHON.exists():
        return []
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.writer_wandb"], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    plain_ms, writer_ms = json.loads(done.stdout.splitlines()[-1])
    return [
        Row(
            f"a period of {_KEYS} keys to W&B, durable in the run's file",
            writer_ms,
            "ms",
            "Run.log alone, which confirms nothing",
            writer_ms / plain_ms,
        )
    ]


def _main() -> None:
    import wandb

    from stats_aggregator_api import PeriodSummaries
    from stats_aggregator_api.testing import example_period, summarize
    from stats_aggregator_wandb.options import WandbOptions
    from stats_aggregator_wandb.session import settings
    from stats_aggregator_wandb.writer import WandbWriter

    options = WandbOptions(mode="offline")
    summaries = {f"key/{i}": summarize([1.0, 2.0]) for i in range(_KEYS)}
    plain = {f"key/{i}": 1.5 for i in range(_KEYS)}
    costs: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as directory:
        writer = WandbWriter("bench", directory, options)
        run = wandb.init(project="bench", dir=directory, settings=settings(options))
        for ordinal in range(1, _ROUNDS * _PERIODS + 1):  # in turns: a machine is not as fast as a moment ago
            began = time.perf_counter()
            run.log(plain)
            logged = time.perf_counter()
            period = example_period(ordinal=ordinal, step=ordinal)
            writer.write_stats("3DBall", PeriodSummaries(period, summaries), ordinal)
            costs[0].append(logged - began)
            costs[1].append(time.perf_counter() - logged)
        run.finish()
        writer.close()
    print(json.dumps([statistics.median(found) * 1e3 for found in costs]), flush=True)


if __name__ == "__main__":
    _main()
