"""What an outage costs a worker whose buffer is full: a value folded, a training loop, the longest call."""

from __future__ import annotations

import logging
import random
import statistics
import sys
import time
from array import array

from stats_aggregator_client import StatsClient, StatsReporter
from stats_aggregator_client.folding import pooled
from tests.bench.row import Row

_COLUMN, _ROUNDS, _ROUND_S = 2048, 12, 0.5
_KEYS, _SPIN = 20, 10_000
_BUFFER_BYTES = 16 << 20


def _fold_ns() -> float:
    column = array("d", [random.gauss(3, 2) for _ in range(_COLUMN)])
    times = []
    for _ in range(300):
        began = time.perf_counter()
        pooled(column)
        times.append(time.perf_counter() - began)
    return statistics.median(times) / _COLUMN * 1e9


def _without_numpy() -> float:
    hidden = sys.modules.pop("numpy", None)
    try:
        return _fold_ns()
    finally:
        if hidden is not None:
            sys.modules["numpy"] = hidden


def _train(reporter: StatsReporter, stats: int, longest: list[float]) -> float:
    """Return steps a second of a loop that computes for a millisecond and reports `stats` stats a step."""
    names = [f"section/key {index}" for index in range(_KEYS)]
    steps, total, end = 0, 0, time.perf_counter() + _ROUND_S
    while (began := time.perf_counter()) < end:
        for number in range(_SPIN):
            total += number * number
        before = time.perf_counter()
        for index in range(stats):
            reporter.add_stat(names[index % _KEYS], before - began)
        reporter.add_steps(1)
        longest.append(time.perf_counter() - before)
        steps += 1
    return steps / _ROUND_S


def measure_overflow() -> list[Row]:
    """Return what folding a value costs, and a training loop with a full buffer beside one with room."""
    import numpy as np

    assert np.__name__ in sys.modules
    logging.getLogger("stats_aggregator_client").setLevel(
        logging.CRITICAL
    )  # it would say that nobody answers
    pure_ns, numpy_ns = _without_numpy(), _fold_ns()
    cost = Row("folding a value, in Python alone", pure_ns, "ns", "where there is numpy", pure_ns / numpy_ns)
    return [cost, *_loop(20), *_loop(200)]


def _loop(stats: int) -> list[Row]:
    rates: dict[str, list[float]] = {"room": [], "full": []}
    longest: dict[str, list[float]] = {"room": [], "full": []}
    nobody = "ipc:///nonexistent/bench"
    with (
        StatsClient(nobody, close_timeout_s=0.0, buffer_bytes=1 << 30) as room,
        StatsClient(nobody, close_timeout_s=0.0, buffer_bytes=_BUFFER_BYTES) as full,
    ):
        clients = {"room": room, "full": full}
        _fill(full)
        folded = full.statistics().values_folded
        for _ in range(_ROUNDS):  # in turn, so that both meet the same noise
            for name, client in clients.items():
                rates[name].append(_train(client.reporter("train"), stats, longest[name]))
        folded = full.statistics().values_folded - folded
        assert folded > 0, "nothing was folded: the buffer was not full"
        assert full.statistics().values_lost == 0
    ratio = statistics.median(rates["full"]) / statistics.median(rates["room"])
    return [
        Row(
            f"training loop, {stats} stats a step, no daemon, buffer full",
            statistics.median(rates["full"]),
            "steps/s",
            "with room in the buffer",
            ratio,
            higher_is_better=True,
            note=f"{folded:,} values folded meanwhile",
        ),
        # One hiccup of the machine decides it: it is compared with nothing.
        Row(
            f"the longest {stats} add_stat, no daemon, buffer full",
            max(longest["full"]) * 1e3,
            "ms",
            note=f"{max(longest['room']) * 1e3:.1f} ms with room",
        ),
    ]


def _fill(client: StatsClient) -> None:
    reporter = client.reporter("train")
    for _ in range(_BUFFER_BYTES // 8 // 4000 + 1):
        reporter.add_stats("section/key 0", [random.gauss(0, 1) for _ in range(4000)])
    while not client.statistics().values_folded:
        time.sleep(0.01)
