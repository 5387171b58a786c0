"""Worker processes of the tests: they push values that the tests can compute again.

Run as `python -m tests.system.pushers MODE ADDRESS ...`, each a process of its own.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from stats_aggregator_client import StatsClient

CATEGORIES = {"plain": 0.0, "large": 1e8, "huge": 1e15}
"""Each category and the offset of its values, around which they have a spread of 1."""
KEYS = [f"section {i % 4}/key {i}" for i in range(40)]


def pooled_chunks(worker: int, num_values: int) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return what a worker pushes: (category, key, values), `num_values` in all, in unequal parts."""
    random = np.random.default_rng(worker)
    chunks = []
    while num_values > 0:
        category = str(random.choice(list(CATEGORIES)))
        size = min(int(random.integers(1, 600)), num_values)
        values = CATEGORIES[category] + random.normal(size=size)
        chunks.append((category, KEYS[int(random.integers(len(KEYS)))], values))
        num_values -= size
    return chunks


def push_pooled(address: str, run: str, worker: int, num_values: int) -> None:
    """Push `pooled_chunks`, value by value where they are few, and end when all is acknowledged."""
    with StatsClient(address, worker=f"worker-{worker}", run=run) as client:
        reporters = {category: client.reporter(category) for category in CATEGORIES}
        for category, key, values in pooled_chunks(worker, num_values):
            if len(values) < 100:
                for value in values.tolist():
                    reporters[category].add_stat(key, value)
            else:
                reporters[category].add_stats(key, values)
        assert client.flush(60), client.statistics()


def push_counting(address: str, run: str, worker: int, num_values: int) -> None:
    """Push the integers below `num_values` of this worker's own thousand million, slowly enough to be hit."""
    with StatsClient(address, worker=f"worker-{worker}", run=run, flush_interval_s=0.01) as client:
        reporter = client.reporter("counting")
        print("pushing", flush=True)
        for start in range(0, num_values, 100):
            for value in range(start, start + 100):
                reporter.add_stat("value", float(worker * 1_000_000_000 + value))
            client.flush(60)
        assert client.flush(60), client.statistics()


if __name__ == "__main__":
    mode, address, run, worker, num_values = sys.argv[1:]
    {"pooled": push_pooled, "counting": push_counting}[mode](address, run, int(worker), int(num_values))
