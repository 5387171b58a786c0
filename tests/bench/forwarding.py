"""What forwarding to a daemon costs a trainer of ML-Agents, beside what ML-Agents' own `add_stat` costs it.

Run by `make bench` in the environment that has ML-Agents, where there is one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
import warnings
from pathlib import Path

from tests.bench.row import Row

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-mlagents" / "bin" / "python"
_ROUNDS, _PERIODS, _STATS = 7, 20, 5_000


def measure_forwarding() -> list[Row]:
    """Return the cost of one stat, its share of the write that ends its period among it."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": "tcp://127.0.0.1:9"}
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.forwarding"],
        capture_output=True, text=True, check=True, env=environment, cwd=_ROOT,
    )  # fmt: skip
    plain_ns, forwarding_ns = json.loads(done.stdout)
    return [
        Row(
            "to forward one stat of ML-Agents, its share of write_stats among it",
            forwarding_ns,
            "ns",
            "what it costs ML-Agents itself",
            forwarding_ns / plain_ns,
        )
    ]


def _main() -> None:
    warnings.simplefilter("ignore")
    from mlagents.trainers.settings import RunOptions
    from mlagents.trainers.stats import StatsReporter

    from stats_aggregator_client.integrations.mlagents import forward

    reporter, writers = StatsReporter("3DBall"), forward(RunOptions())

    def cost_ns() -> float:
        began = time.perf_counter()
        for step in range(_PERIODS):
            for _ in range(_STATS):
                reporter.add_stat("Losses/Value Loss", 1.5)
            reporter.write_stats(step)
        return (time.perf_counter() - began) / (_PERIODS * _STATS) * 1e9

    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):  # in turns: a machine is not as fast as a moment ago
        for used, found in zip(([], writers), costs, strict=True):
            StatsReporter.writers = used
            found.append(cost_ns())
    plain_ns = statistics.median(costs[0])
    print(json.dumps([plain_ns, statistics.median(costs[1]) - plain_ns]), flush=True)
    os._exit(0)  # nobody listens to what was forwarded


if __name__ == "__main__":
    _main()
