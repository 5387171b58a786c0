"""What one `add_stat` costs in a worker, beside the barest method that does the same."""

from __future__ import annotations

import logging
import statistics
import timeit
from collections.abc import Callable
from typing import Any

from stats_aggregator_client import StatsClient, StatsReporter

_CALLS = 200_000
_ROUNDS = 7


class Barest:
    """Looks a key up and appends; nothing that counts values can do less."""

    def __init__(self, keys: list[str]) -> None:
        self._columns: dict[str, list[float]] = {key: [] for key in keys}

    def add_stat(self, key: str, value: float) -> None:
        self._columns[key].append(value)


def _nanoseconds(add: Callable[[str, float], None], keys: list[str]) -> float:
    names = [keys[i % len(keys)] for i in range(1000)]

    def calls() -> None:
        for name in names:
            add(name, 0.5)

    return timeit.timeit(calls, number=_CALLS // 1000) / _CALLS * 1e9


def measure_add_stat() -> list[dict[str, Any]]:
    """Return the median cost of `add_stat` for one key and for 200, no daemon listening."""
    logging.getLogger("stats_aggregator_client").setLevel(logging.CRITICAL)  # it would say so
    rows = []
    for num_keys in (1, 200):
        keys = [f"section/key {i}" for i in range(num_keys)]
        with StatsClient("ipc:///nonexistent/bench", run="bench", close_timeout_s=0.0) as client:
            reporter = StatsReporter("bench", client)
            ours, bare = [], []
            for _ in range(_ROUNDS):  # in turn, so that both meet the same noise
                barest = Barest(keys)
                bare.append(_nanoseconds(barest.add_stat, keys))
                ours.append(_nanoseconds(reporter.add_stat, keys))
        ratio = statistics.median(ours) / statistics.median(bare)
        rows.append(
            {
                "what": f"add_stat, {num_keys} key{'s' if num_keys > 1 else ''}",
                "figure": statistics.median(ours),
                "unit": "ns",
                "beside": f"{ratio:.2f} x the barest ({statistics.median(bare):.0f} ns)",
            }
        )
    return rows
