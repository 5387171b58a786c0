"""Closing: from the end of a period to its stored summary, and how long that holds up what comes in."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zmq

from tests.bench.fit import growth
from tests.bench.raw_session import RawSession, ReadyBatch, Shape
from tests.bench.row import Row
from tests.bench.stored import Stored
from tests.system.daemons import Daemon

_CASES = ((100, 100), (1_000, 100), (10_000, 100), (100_000, 10))
"""Series, and values of each."""
_CATEGORIES = (1_000, 3_000, 10_000)
"""So many categories of one value end with one window."""
_WINDOW_S, _GRACE_S = 5, 1
_KEYS_A_BATCH = 1_000
_PING = Shape(50, 1)
_PATIENCE_S = 120.0


class Closed(NamedTuple):
    """One closing."""

    stored_s: float
    slowest_ack_s: float
    """Of small batches that were pushed meanwhile, one after the other."""
    quiet_ack_s: float
    """The slowest of those pushed before."""
    num_acknowledged: int
    num_stored: int


def measure_closing(short: bool) -> Iterator[Row]:
    """Yield time and stall of each number of series, beside numpy and SQLite alone."""
    rounds, quiet_for_s = (1, 0.1) if short else (3, 1.0)
    took_s: dict[int, float] = {}
    for series, values in _CASES[:2] if short else _CASES:
        bare_s = statistics.median(_barest_s(series, values) for _ in range(rounds))
        found = [_closed(series, values, quiet_for_s) for _ in range(rounds)]
        took_s[series] = statistics.median(each.stored_s for each in found)
        stall_s = statistics.median(each.slowest_ack_s for each in found)
        quiet_s = statistics.median(each.quiet_ack_s for each in found)
        counts = {
            "acknowledged": sum(each.num_acknowledged for each in found),
            "stored": sum(each.num_stored for each in found),
        }
        name, reference = f"{series:,} series of {values} values", "numpy's figures in one INSERT"
        yield Row(
            f"{name}, stored", took_s[series] * 1e3, "ms", reference, took_s[series] / bare_s, counts=counts
        )
        # The slowest of all is chance: it is compared with nothing.
        note = f"slowest ack meanwhile; {quiet_s * 1e3:.1f} ms just before"
        yield Row(f"{name}, stall of ingestion", stall_s * 1e3, "ms", note=note)
    yield growth("time to the stored summary, as series grow", took_s, "a series")
    yield from _categories(short, rounds)


def _categories(short: bool, rounds: int) -> Iterator[Row]:
    """Yield time and stall of each number of categories that end at once."""
    took_s: dict[int, float] = {}
    for categories in _CATEGORIES[:1] if short else _CATEGORIES:
        bare_s = statistics.median(_barest_s(categories, 1) for _ in range(rounds))
        found = [_closed_at_once(categories) for _ in range(rounds)]
        took_s[categories] = statistics.median(each.stored_s for each in found)
        stall_s = statistics.median(each.slowest_ack_s for each in found)
        quiet_s = statistics.median(each.quiet_ack_s for each in found)
        counts = {
            "acknowledged": sum(each.num_acknowledged for each in found),
            "stored": sum(each.num_stored for each in found),
        }
        name, reference = f"{categories:,} categories of one value at once", "numpy's figures in one INSERT"
        ratio = took_s[categories] / bare_s
        yield Row(f"{name}, stored", took_s[categories] * 1e3, "ms", reference, ratio, counts=counts)
        note = f"slowest ack meanwhile; {quiet_s * 1e3:.1f} ms just before"
        yield Row(f"{name}, stall of ingestion", stall_s * 1e3, "ms", note=note)
    if not short:
        yield growth("time to the last stored period, as categories grow", took_s, "a category")


def _closed_at_once(categories: int) -> Closed:
    options = ("--writer", "jsonl", "--every", f"{_WINDOW_S}s", "--grace", f"{_GRACE_S}s")
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), *options) as daemon,
        zmq.Context() as context,
        Stored(daemon.directory) as store,
    ):
        pusher, pinger = (RawSession(context, daemon.address) for _ in range(2))
        for session in (pusher, pinger):
            session.greet()
        batches = [ReadyBatch(pusher.id, Shape(1, 1), f"category {n}") for n in range(categories)]
        window_end_s = _after_the_next_window_began()
        for batch in batches:
            while not pusher.may_send(len(batch)):
                pusher.receive()
            pusher.send(batch)
        pusher.settle()
        ping = ReadyBatch(pinger.id, _PING, "ping")
        due_s = window_end_s + _GRACE_S
        quiet_s, acks_s = [0.0], [0.0]
        while time.time() < due_s:
            quiet_s.append(_ack_s(pinger, ping))
        while store.num_periods("category %") < categories:
            acks_s.append(_ack_s(pinger, ping))
            assert time.time() < due_s + _PATIENCE_S, "they are not stored"
        stored_s = time.time() - due_s
        num_stored = store.num_values("category %")
        for session in (pusher, pinger):
            session.close()
    return Closed(stored_s, max(acks_s), max(quiet_s), categories, num_stored)


def _after_the_next_window_began() -> float:
    """Wait for the beginning of a window, which is aligned to the clock; return when that ends."""
    now_s = time.time()
    begin_s = now_s - now_s % _WINDOW_S + _WINDOW_S
    time.sleep(begin_s - now_s)
    return begin_s + _WINDOW_S


def _closed(series: int, values: int, quiet_for_s: float) -> Closed:
    options = ("--writer", "jsonl", "--every", "manual")
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), *options) as daemon,
        zmq.Context() as context,
        Stored(daemon.directory) as store,
    ):
        pusher, pinger = (RawSession(context, daemon.address) for _ in range(2))
        for session in (pusher, pinger):
            session.greet()
        _push(pusher, series, values)
        ping = ReadyBatch(pinger.id, _PING, "ping")
        quiet_until = time.monotonic() + quiet_for_s
        quiet_s = [_ack_s(pinger, ping)]
        while time.monotonic() < quiet_until:
            quiet_s.append(_ack_s(pinger, ping))
        began, acks_s = time.monotonic(), [0.0]
        pusher.write("closing", 1)
        while not store.num_periods("closing"):
            acks_s.append(_ack_s(pinger, ping))
            assert time.monotonic() - began < _PATIENCE_S, "it is not stored"
        stored_s = time.monotonic() - began
        pusher.settle()
        num_stored = store.num_values("closing")
        for session in (pusher, pinger):
            session.close()
    return Closed(stored_s, max(acks_s), max(quiet_s), series * values, num_stored)


def _push(session: RawSession, series: int, values: int) -> None:
    keys = min(series, _KEYS_A_BATCH)
    for first_key in range(0, series, keys):
        batch = ReadyBatch(session.id, Shape(keys, values), "closing", first_key)
        while not session.may_send(len(batch)):
            session.receive()
        session.send(batch)
    session.settle()


def _ack_s(session: RawSession, batch: ReadyBatch) -> float:
    began = time.monotonic()
    session.send(batch)
    session.settle()
    return time.monotonic() - began


def _barest_s(series: int, values: int) -> float:
    """Return how long numpy and SQLite take to do as much with a matrix of a row a series."""
    matrix = np.random.default_rng(1).normal(size=(series, values))
    with tempfile.TemporaryDirectory() as directory:
        database = sqlite3.connect(Path(directory) / "barest.sqlite")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE summaries (key, num, mean, std, sum, min, max, p50, full_dist)")
        began = time.monotonic()
        figures = [
            figure.tolist()
            for figure in (
                matrix.mean(1), matrix.std(1), matrix.sum(1), matrix.min(1), matrix.max(1),
                np.sort(matrix, 1)[:, values // 2],
            )
        ]  # fmt: skip
        rows = zip(range(series), [values] * series, *figures, map(bytes, matrix), strict=True)
        with database:
            database.executemany("INSERT INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        took_s = time.monotonic() - began
        database.close()
    return took_s
