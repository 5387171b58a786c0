"""Growth: how what the engine does for a value and for a batch grows, with ten times as much of everything.

In processor time of the engine's thread, with a journal and without a socket.
"""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stats_aggregator_client.wire import Hello, encode
from tests.aggregator.peers import Core
from tests.bench.fit import growth
from tests.bench.raw_session import ReadyBatch, Shape
from tests.bench.row import Row

_GROUP = 512
_GROUP_BYTES = 8 << 20
_ROUNDS = 3


def measure_growth(short: bool) -> Iterator[Row]:
    """Yield how each cost grows, as k of n^k."""
    cases: list[tuple[str, str, Callable[[int], float], Sequence[int]]] = [
        (
            "to take a value each of n series of a period",
            "a series",
            _series_s,
            (100, 1_000, 10_000, 100_000),
        ),
        ("to take a batch of 50x1 each of n sessions", "a batch", _sessions_s, (10, 100, 1_000, 10_000)),
        ("to take a batch of 50 keys x n", "50 values", _wide_s, (1, 10, 100, 1_000)),
        ("to take n batches of 50x20 in one period", "a batch", _batches_s, (10, 100, 1_000, 10_000)),
    ]
    for what, each, cost_s, numbers in cases:
        few = numbers[:3] if short else numbers
        rounds = 1 if short else _ROUNDS
        # What disturbs a machine only adds.
        costs = {n: min(cost_s(n) for _ in range(rounds)) for n in few}
        yield growth(what, costs, each)


def _series_s(n: int) -> float:
    shape = Shape(min(n, 1_000), 1)
    batches = [ReadyBatch(_session(0), shape, first_key=first) for first in range(0, n, shape.keys)]
    return _taken_s([(0, bytes(batch.frame(seq))) for seq, batch in enumerate(batches, 1)], 1)


def _sessions_s(n: int) -> float:
    batches = [ReadyBatch(_session(number), Shape(50, 1)) for number in range(n)]
    return _taken_s([(number, bytes(batch.frame(1))) for number, batch in enumerate(batches)], n)


def _wide_s(n: int) -> float:
    # Several, since one alone is too short to be measured.
    times = 20
    batch = ReadyBatch(_session(0), Shape(50, n))
    return _taken_s([(0, bytes(batch.frame(seq))) for seq in range(1, times + 1)], 1) / times


def _batches_s(n: int) -> float:
    batch = ReadyBatch(_session(0), Shape(50, 20))
    return _taken_s([(0, bytes(batch.frame(seq))) for seq in range(1, n + 1)], 1)


def _session(number: int) -> bytes:
    return struct.pack(">QQ", 9, number)


def _taken_s(frames: Sequence[tuple[int, bytes]], sessions: int) -> float:
    """Return what a new core takes for these frames, each of the session of that number."""
    with tempfile.TemporaryDirectory() as directory, Core(
        Path(directory), "manual", max_series=200_000, retain_values=65_536, retain_bytes=256 << 20,
        ingress_bytes=256 << 20, segment_bytes=64 << 20,
    ) as core:  # fmt: skip
        for number in range(sessions):
            hello = Hello(_session(number), f"w{number}", "run", _session(number), {}, 1, None)
            core.engine.handle([(b"%d" % number, encode(hello))])
        took_s = 0.0
        for group in _grouped(frames):
            messages = [(b"%d" % number, frame) for number, frame in group]
            began = time.thread_time()
            core.engine.handle(messages)
            took_s += time.thread_time() - began
        taken = sum(session.durable_seq for session in core.state.sessions)
        assert taken == len(frames), f"{taken} of {len(frames)} batches were taken"
    return took_s


def _grouped(frames: Sequence[tuple[int, bytes]]) -> Iterator[Sequence[tuple[int, bytes]]]:
    each = max(1, min(_GROUP, _GROUP_BYTES // len(frames[0][1])))  # as the daemon's socket is drained
    for begin in range(0, len(frames), each):
        yield frames[begin : begin + each]
