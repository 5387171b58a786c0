"""A session on a bench: no socket, and a clock that tests turn."""

from __future__ import annotations

from typing import Any

from stats_aggregator_client.buffer import CategoryBuffer
from stats_aggregator_client.clock import Clock
from stats_aggregator_client.complaints import Complaints
from stats_aggregator_client.counts import Counts
from stats_aggregator_client.naming import Identity
from stats_aggregator_client.outbox import Outbox
from stats_aggregator_client.session import Session
from stats_aggregator_client.wire import (
    Ack,
    Closing,
    Heartbeat,
    Message,
    Welcome,
    decode,
    encode,
)

S = 1_000_000_000
A, B = b"a" * 16, b"b" * 16
DAY = 24 * 3600 * S


class Bench:
    """A session, a buffer that feeds it, and a clock that tests turn."""

    def __init__(self, ack_timeout_s: int = 10, max_unacked_bytes: int = 1 << 20) -> None:
        self.now = 0
        self.ahead_ns = 5000 * S
        """How far the daemon's clock is ahead of this one."""
        self.windows: tuple[int, ...] = ()
        clock = Clock(monotonic_ns=lambda: self.now, wall_ns=lambda: 1000 * S)
        self.counts = Counts()
        self.outbox = Outbox(1 << 22, clock, self.counts, Complaints(), lambda: None)
        self.buffer = CategoryBuffer("c", Closing.TIME, self.outbox)
        self.session = Session(
            self.outbox,
            Identity("w", None, b"p" * 16, {}),
            "tcp://nowhere:1",
            ack_timeout_ns=ack_timeout_s * S,
            max_unacked_bytes=max_unacked_bytes,
        )

    def add(self, *values: float) -> None:
        self.buffer.extend("k", values, 0)
        self.buffer.cut()

    def sends_all(self) -> list[Message]:
        """All that goes out now."""
        found = []
        while (frame := self.session.next_frame(self.now)) is not None:
            self.session.sent(self.now)
            found.append(decode(frame))
        return found

    def sends(self) -> list[Message]:
        """All that goes out now, but heartbeats."""
        return [message for message in self.sends_all() if not isinstance(message, Heartbeat)]

    def hears(self, message: Message) -> None:
        self.session.receive(encode(message), self.now)

    def welcome(
        self, server: bytes = A, durable: int = 0, credit: int = 1 << 20, windows: tuple[int, ...] = ()
    ) -> None:
        self.windows = windows
        time_ns = self.ahead_ns + self.now
        self.hears(Welcome(self.session.id, server, "w", "r", durable, credit, time_ns, windows))

    def ack(self, durable: int, credit: int = 1 << 20) -> None:
        self.hears(Ack(self.session.id, durable, credit, self.ahead_ns + self.now, self.windows))

    def open(self, **fields: Any) -> None:
        self.session.begin(self.now)
        self.sends()
        self.welcome(**fields)
