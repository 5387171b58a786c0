"""A worker of the model: the client's real session, buffers and outbox, on a connection of the model."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_client.buffer import CategoryBuffer
from stats_aggregator_client.clock import Clock
from stats_aggregator_client.complaints import Complaints
from stats_aggregator_client.counts import Counts
from stats_aggregator_client.naming import Identity
from stats_aggregator_client.outbox import Outbox
from stats_aggregator_client.session import Session, State
from stats_aggregator_client.wire import (
    Batch,
    Closing,
    Message,
    Partial,
    PartialSeries,
    decode,
    decode_series,
)
from tests.aggregator.clocks import SECOND_NS
from tests.aggregator.model.network import Link, Network
from tests.aggregator.model.values import value

KEYS = {"mean": 0, "gauge": 1, "sum": 2, "hist": 3}
"""The keys that workers use, each with its aggregation."""
UNFIT = "unfit\n"
"""A category that no daemon takes."""


class Launched(NamedTuple):
    """A frame that got its seq, and the values in it, by key; those of a PARTIAL too."""

    frame: bytes
    message: Message
    worker: SimWorker
    values: Mapping[str, Sequence[float]]

    @property
    def num_values(self) -> int:
        """How many values it carries."""
        return sum(map(len, self.values.values()))


class Stream:
    """The values that a worker added under one key, in order; `take` says which of them a frame carries.

    A client that has to drop something drops the oldest, so what it sends are the next ones, or some later.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self._next = 0

    def take(self, column: Sequence[float]) -> list[float]:
        """Return the column of a batch; fail where these are not the next values."""
        assert column[0] in self.values[self._next :], "a value is sent twice, or was never added"
        begin = self.values.index(column[0], self._next)
        assert self.values[begin : begin + len(column)] == list(column), "values out of their order"
        self._next = begin + len(column)
        return list(column)

    def take_folded(self, part: PartialSeries) -> list[float]:
        """Return the values that were folded into a part; fail where it could not be made of any."""
        for begin in range(self._next, len(self.values) - part.num + 1):
            found = self.values[begin : begin + part.num]
            if (sum(found), min(found), max(found), found[-1]) == (part.sum, part.min, part.max, part.last):
                self._next = begin + part.num
                return found
        raise AssertionError(f"{part} is folded of other values")


class SimWorker:
    """A process with one client; `launched` keeps all frames that any worker gave a seq."""

    def __init__(
        self,
        number: int,
        name: str,
        network: Network,
        mono_ns: Callable[[], int],
        launched: dict[tuple[bytes, int], Launched],
        *,
        wall_ns: int,
        buffer_bytes: int,
    ) -> None:
        self.number, self.name = number, name
        self.skew_ns = 0
        self.values = 0
        """How many values it has made."""
        self._streams: dict[tuple[str, str], Stream] = defaultdict(Stream)
        self.link: Link | None = None
        self._network, self._mono_ns, self._launched = network, mono_ns, launched
        began_ns = mono_ns()
        self.clock = Clock(self.now_ns, lambda: wall_ns + self.now_ns() - began_ns)
        self.counts = Counts()
        self.outbox = Outbox(buffer_bytes, self.clock, self.counts, Complaints(), lambda: None)
        self._buffers: dict[str, CategoryBuffer] = {}
        self.session = Session(
            self.outbox,
            Identity(name, "run", struct.pack(">QQ", 8, number), {}),
            "tcp://nowhere:1",
            ack_timeout_ns=10 * SECOND_NS,
            max_unacked_bytes=buffer_bytes // 2,
        )

    def now_ns(self) -> int:
        return self._mono_ns() + self.skew_ns

    def buffer(self, category: str) -> CategoryBuffer:
        if category not in self._buffers:
            closing = Closing.WRITE if category == "trained" else Closing.TIME
            self._buffers[category] = CategoryBuffer(category, closing, self.outbox)
        return self._buffers[category]

    def add(self, category: str, key: str, num: int) -> None:
        """Add the next values."""
        values = [value(self.number, place) for place in range(self.values, self.values + num)]
        self.values += num
        self._streams[category, key].values += values
        self.buffer(category).extend(key, values, StatsAggregationMethod(KEYS[key]))

    def cut(self) -> None:
        for buffer in self._buffers.values():
            buffer.cut()

    def turn(self) -> None:
        """Do what the sender's thread does: replace the socket where it must be, and send what may go."""
        session, now_ns = self.session, self.now_ns()
        if self.link is not None and session.overdue(now_ns):
            self.disconnect()
        if self.link is None:
            self.link = self._network.connect()
            session.begin(now_ns)
        while (frame := session.next_frame(now_ns)) is not None:
            self._note_launched()
            self.link.up.append(frame)
            session.sent(now_ns)

    def _note_launched(self) -> None:
        for sent in reversed(self.session.flight.frames()):
            known = self._launched.get((self.session.id, sent.seq))
            if known is not None:
                assert known.frame == sent.frame, "a frame is re-sent with other bytes"
                break
            message = decode(sent.frame)
            values = self._values_in(message)
            self._launched[self.session.id, sent.seq] = Launched(sent.frame, message, self, values)

    def _values_in(self, message: Message) -> dict[str, list[float]]:
        if isinstance(message, Batch):
            return {
                key: self._streams[message.category, key].take(column) for key, column in columns(message)
            }
        if isinstance(message, Partial):
            parts = zip(decode_series(message.series), message.parts, strict=True)
            return {
                key: self._streams[message.category, key].take_folded(PartialSeries(*part))
                for (key, _), part in parts
            }
        return {}

    def hear(self, num: int) -> None:
        """Take the next frames from the daemon."""
        for _ in range(min(num, len(self.link.down) if self.link else 0)):
            self.session.receive(self.link.down.popleft(), self.now_ns())

    def disconnect(self) -> None:
        """Lose the socket, and know it."""
        if self.link is not None:
            self._network.give_up(self.link)
            self.link = None
            self.session.lose(self.now_ns())

    def leave(self, *, politely: bool) -> None:
        """End the process; politely, with a BYE."""
        bye = self.session.bye() if politely else None
        if bye is not None and self.link is not None:
            self.link.up.append(bye)
        if self.link is not None:
            self._network.give_up(self.link)
            self.link = None

    @property
    def is_done(self) -> bool:
        """Whether all that it has was acknowledged or given up."""
        return not self.outbox.unsettled and self.session.state is State.OPEN


def columns(batch: Batch) -> Iterator[tuple[str, Sequence[float]]]:
    """Yield the keys of a batch and their values."""
    counts = struct.unpack(f"<{len(batch.counts) // 4}I", batch.counts)
    values = struct.unpack(f"<{len(batch.values) // 8}d", batch.values)
    at = 0
    for (key, aggregation), count in zip(decode_series(batch.series), counts, strict=True):
        assert aggregation == KEYS[key]
        yield key, values[at : at + count]
        at += count


def number_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give sessions ids that count up, so that what failed fails again in the same way."""
    ids = iter(range(1, 1 << 32))
    monkeypatch.setattr("stats_aggregator_client.session.new_id", lambda: struct.pack(">QQ", 9, next(ids)))
