"""What one call of the client costs the thread that makes it, in its own processor time."""

from __future__ import annotations

import logging
import statistics
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import prometheus_client
from tensorboard.summary import Writer

from stats_aggregator_client import StatsClient, StatsReporter
from tests.bench.row import Row

_NAMES = 1000
_MANY = 10_000
_ROOM_BYTES = 1 << 30
"""More than is added: nothing is folded."""


class Barest:
    """Looks a key up and appends; nothing that counts values can do less."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._columns: dict[str, list[float]] = {key: [] for key in keys}

    def add_stat(self, key: str, value: float) -> None:
        self._columns[key].append(value)


def measure_worker_calls(short: bool) -> Iterator[Row]:
    """Yield what `add_stat`, `set_stat` and `add_stats` cost, beside the barest and beside others'."""
    logging.getLogger("stats_aggregator_client").setLevel(
        logging.CRITICAL
    )  # it would say that nobody answers
    rounds, turns = (2, 10) if short else (9, 100)
    ours_ns = yield from _one_value(rounds, turns)
    yield from _others(rounds, turns * _NAMES, ours_ns)
    yield from _many_values(rounds, 10 if short else 200)


def _client() -> StatsClient:
    return StatsClient("ipc:///nonexistent/bench", run="bench", close_timeout_s=0.0, buffer_bytes=_ROOM_BYTES)


def _call_ns(work: Callable[[], None], calls: int, threads: int = 1) -> float:
    """Return what one of the calls in `work` takes of a thread, where so many are at work at once."""
    took_s: list[float] = []
    barrier = threading.Barrier(threads)

    def timed() -> None:
        barrier.wait()
        began = time.thread_time()
        work()
        took_s.append(time.thread_time() - began)

    workers = [threading.Thread(target=timed) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(took_s) / (threads * calls) * 1e9


def _add(add: Callable[[str, float], Any], names: Sequence[str], turns: int) -> None:
    for _ in range(turns):
        for name in names:
            add(name, 0.5)


def _put(put: Callable[[float], Any], calls: int) -> None:
    for _ in range(calls):
        put(0.5)


def _one_value(rounds: int, turns: int) -> Generator[Row, None, float]:
    """Yield what one value costs; return what it costs `add_stat` with one key and one thread."""
    calls = turns * _NAMES
    for threads in (4, 1):
        for num_keys in (200, 1):
            keys = [f"section/key {i}" for i in range(num_keys)]
            names = [keys[i % num_keys] for i in range(_NAMES)]
            added, put, bare = [], [], []
            with _client() as client:
                reporter = StatsReporter("bench", client)
                for _ in range(rounds):  # in turns, so that all meet the same noise
                    bare.append(_call_ns(partial(_add, Barest(keys).add_stat, names, turns), calls, threads))
                    added.append(_call_ns(partial(_add, reporter.add_stat, names, turns), calls, threads))
                    put.append(_call_ns(partial(_add, reporter.set_stat, names, turns), calls, threads))
            barest_ns = statistics.median(bare)
            where = f"{num_keys} key{'s' * (num_keys > 1)}, {threads} thread{'s' * (threads > 1)}"
            yield _beside(f"add_stat, {where}", statistics.median(added), "the barest method", barest_ns)
            if threads == 1:
                yield _beside(f"set_stat, {where}", statistics.median(put), "the barest method", barest_ns)
    return statistics.median(added)


def _others(rounds: int, calls: int, ours_ns: float) -> Iterator[Row]:
    """Yield what one value of one key costs others: the more times what it costs here, the better."""
    registry = prometheus_client.CollectorRegistry()
    histogram = prometheus_client.Histogram("reward", "of an episode", ["worker"], registry=registry)
    bound = histogram.labels("env-17")
    append, observe, add_scalar = [], [], []
    values: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        board = Writer(directory)
        for _ in range(rounds):
            values.clear()
            append.append(_call_ns(partial(_put, values.append, calls), calls))
            observe.append(_call_ns(partial(_put, bound.observe, calls), calls))
            fewer = calls // 10
            scalar = partial(board.add_scalar, "reward", step=1)
            add_scalar.append(_call_ns(partial(_put, scalar, fewer), fewer))
        board.close()
    for what, found in (
        ("list.append, bound", append),
        ("Histogram.observe of prometheus_client, labels bound", observe),
        ("add_scalar of tensorboard.summary.Writer", add_scalar),
    ):
        cost_ns = statistics.median(found)
        yield Row(what, cost_ns, "ns", "add_stat, 1 key, 1 thread", cost_ns / ours_ns, higher_is_better=True)


def _many_values(rounds: int, calls: int) -> Iterator[Row]:
    """Yield what a value of many costs, beside copying them into memory of our own."""
    doubles = np.random.default_rng(1).normal(size=_MANY)
    cases: list[tuple[str, Any, Callable[[Any], object], str]] = [
        ("a float64 array", doubles, lambda a: a.tobytes(), "tobytes()"),
        ("a float32 array", doubles.astype("f4"), lambda a: a.astype("f8").tobytes(), "astype and tobytes()"),
        ("a list", doubles.tolist(), lambda a: array("d", a), 'array("d", list)'),
    ]
    for what, values, copy, reference in cases:
        ours, bare = [], []
        for _ in range(rounds):
            with _client() as client:
                reporter = client.reporter("bench")
                ours.append(_each_ns(partial(reporter.add_stats, "key", values), calls))
            bare.append(_each_ns(partial(_keep_copy, [], copy, values), calls))
        name = f"add_stats of {what} of {_MANY:,}, a value"
        yield _beside(name, statistics.median(ours), reference, statistics.median(bare))


def _keep_copy(kept: list[object], copy: Callable[[Any], object], values: Any) -> None:
    kept.append(copy(values))


def _each_ns(call: Callable[[], object], calls: int) -> float:
    began = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - began) / (calls * _MANY) * 1e9


def _beside(what: str, cost_ns: float, reference: str, reference_ns: float) -> Row:
    note = f"that is {reference_ns:.2f} ns" if reference_ns < 10 else f"that is {reference_ns:.0f} ns"
    return Row(what, cost_ns, "ns", reference, cost_ns / reference_ns, note=note)
