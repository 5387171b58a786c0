"""A scripted daemon: a real ROUTER that obeys PROTOCOL.md, and misbehaves where a test says so."""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable

import zmq

from stats_aggregator_client import StatsClient
from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Message,
    Nack,
    Partial,
    PartialSeries,
    Reject,
    RejectCode,
    Welcome,
    decode,
    decode_series,
    encode,
)


class Stored:
    """What a daemon keeps on disk: who it is, what it stored, and up to where of each session."""

    def __init__(self) -> None:
        self.server = os.urandom(16)
        self.durable: dict[bytes, int] = defaultdict(int)
        self.messages: list[Message] = []
        self.rejected: list[Message] = []

    def batches(self, category: str | None = None) -> list[Batch]:
        return [m for m in self.messages if isinstance(m, Batch) and category in (None, m.category)]

    def values(self, category: str | None = None) -> dict[str, list[float]]:
        """All stored values by key, in the order in which they came."""
        found: dict[str, list[float]] = defaultdict(list)
        for batch in self.batches(category):
            for key, values in columns(batch):
                found[key].extend(values)
        return dict(found)

    def partials(self, category: str | None = None) -> list[Partial]:
        return [m for m in self.messages if isinstance(m, Partial) and category in (None, m.category)]

    def total(self) -> int:
        """How many values are stored, raw and folded."""
        raw = sum(len(batch.values) // 8 for batch in self.batches())
        folded = (part for partial in self.partials() for _, part in parts(partial))
        return raw + sum(part.num + part.num_nan + part.num_inf for part in folded)


def columns(batch: Batch) -> list[tuple[str, list[float]]]:
    counts, values = array("I", batch.counts), array("d", batch.values)
    assert sum(counts) == len(values)
    assert all(counts)
    found, begin = [], 0
    for (key, _), count in zip(decode_series(batch.series), counts, strict=True):
        found.append((key, list(values[begin : begin + count])))
        begin += count
    return found


def parts(partial: Partial) -> list[tuple[str, PartialSeries]]:
    """The series of a partial by key, each as PROTOCOL.md says that it must be."""
    series = decode_series(partial.series)
    assert len(series) == len(partial.parts) > 0
    found = []
    for (key, aggregation), fields in zip(series, partial.parts, strict=True):
        part = PartialSeries(*fields)
        keys, counts = array("i", part.bucket_keys), array("Q", part.bucket_counts)
        assert len(keys) == len(counts)
        assert sum(counts) == part.num
        assert list(keys) == sorted(set(keys))
        assert part.num + part.num_nan + part.num_inf >= 1
        assert part.last_order == (partial.t_last, partial.session, partial.seq, 0)
        own = (("", part.last, *part.last_order),) if aggregation == 1 and part.num else ()
        assert part.latest == own
        if not part.num:
            assert part[1:7] == (0.0,) * 6
            assert part.last == 0.0
        found.append((key, part))
    assert partial.workers == ()
    assert partial.late <= sum(part.num + part.num_nan + part.num_inf for _, part in found)
    assert 0 <= partial.mantissa_bits <= 7
    return found


class Peer:
    """Runs in a thread between `with`; its attributes are the script, and may change at any time."""

    def __init__(self, address: str = "tcp://127.0.0.1:*", stored: Stored | None = None) -> None:
        self.stored = stored or Stored()
        self.credit = 1 << 20
        self.windows: tuple[int, ...] = ()
        self.acking = True
        self.mute = False
        self.ahead_ns = 0
        self.refuse_hello = ""
        self.rejects: Callable[[Message], bool] = lambda message: False
        self.suffix = ""
        self.hellos: list[Hello] = []
        self.heartbeats = 0
        self.byes = 0
        self.came: list[Message] = []
        self.frames: dict[tuple[bytes, int], set[bytes]] = defaultdict(set)
        self.nacks = 0
        self._wanted_address = address
        self._known: dict[bytes, bytes] = {}
        self._held: dict[bytes, list[Message]] = defaultdict(list)
        self._nacked: set[tuple[bytes, int]] = set()
        self._changed = threading.Condition()
        self._commands: list[Callable[[], None]] = []
        self._stopping = False

    def __enter__(self) -> Peer:
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind(self._wanted_address)
        self.address = self._router.getsockopt(zmq.LAST_ENDPOINT).decode()
        self._thread = threading.Thread(target=self._run, name="peer")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Die: the connections break, what was not stored is gone."""
        self._stopping = True
        self._thread.join()

    def wait(self, what: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Wait until `what()` holds, looking whenever something came."""
        with self._changed:
            assert self._changed.wait_for(what, timeout_s), f"not within {timeout_s} s"

    def forget_connections(self) -> None:
        """Know nobody any more, as a daemon that was restarted behind the same connection."""
        self._do(self._known.clear)

    def resume(self) -> None:
        """Store and acknowledge what came meanwhile, and go on so."""

        def commit() -> None:
            self.acking = True
            for connection, session in self._known.items():
                self._commit(session)
                self._send(connection, self._ack(session))

        self._do(commit)

    def nack(self, expected: int) -> None:
        """Ask every session to send again from `expected`, as after a group that could not be written."""

        def ask() -> None:
            for connection, session in self._known.items():
                self._held[session].clear()
                self._send(connection, Nack(session, expected))

        self._do(ask)

    def acknowledge_all(self) -> None:
        """Send everybody an ACK, as with a new credit."""
        self._do(lambda: [self._send(c, self._ack(s)) for c, s in self._known.items()] and None)

    def _do(self, command: Callable[[], None]) -> None:
        self._commands.append(command)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        while not self._stopping:
            while self._commands:
                self._commands.pop(0)()
            if poller.poll(5):
                connection, frame = self._router.recv_multipart()
                with self._changed:
                    self._take(connection, frame)
                    self._changed.notify_all()
        self._router.close(0)
        self._context.term()

    def _take(self, connection: bytes, frame: bytes) -> None:
        message = decode(frame)
        self.came.append(message)
        if self.mute:
            return
        if isinstance(message, Hello):
            self._hello(connection, message)
        elif connection not in self._known:
            self._send(connection, Nack(message.session, 0))
        elif isinstance(message, Heartbeat):
            self.heartbeats += 1
            self._send(connection, self._ack(message.session))
        elif isinstance(message, Bye):
            self.byes += 1
        else:
            self._sequenced(connection, message, frame)

    def _hello(self, connection: bytes, hello: Hello) -> None:
        self.hellos.append(hello)
        if self.refuse_hello:
            self._send(connection, Reject(hello.session, 0, RejectCode.NAME, self.refuse_hello))
            return
        self._known[connection] = hello.session
        self._held[hello.session].clear()
        self._nacked.clear()
        stored = self.stored
        durable = max(stored.durable[hello.session], hello.first_unacked - 1)
        if hello.server in (None, stored.server):
            stored.durable[hello.session] = durable
        run = hello.run or "run-of-the-daemon"
        worker = hello.worker + self.suffix
        self._send(
            connection,
            Welcome(
                hello.session, stored.server, worker, run, durable, self.credit, self._time(), self.windows
            ),
        )

    def _sequenced(self, connection: bytes, message: Message, frame: bytes) -> None:
        session = message.session
        self.frames[session, message.seq].add(frame)
        expected = self.stored.durable[session] + len(self._held[session]) + 1
        if message.seq < expected:
            self._send(connection, self._ack(session))
        elif message.seq > expected:
            if (session, expected) not in self._nacked:
                self._nacked.add((session, expected))
                self.nacks += 1
                self._send(connection, Nack(session, expected))
        else:
            if self.rejects(message):
                self._send(connection, Reject(session, message.seq, RejectCode.NAME, "not with us"))
            self._held[session].append(message)
            if self.acking:
                self._commit(session)
                self._send(connection, self._ack(session))

    def _commit(self, session: bytes) -> None:
        for message in self._held.pop(session, []):
            self.stored.durable[session] = message.seq
            (self.stored.rejected if self.rejects(message) else self.stored.messages).append(message)

    def _ack(self, session: bytes) -> Ack:
        return Ack(session, self.stored.durable[session], self.credit, self._time(), self.windows)

    def _send(self, connection: bytes, message: Message) -> None:
        self._router.send_multipart([connection, encode(message)])

    def _time(self) -> int:
        return time.time_ns() + self.ahead_ns


def wait_connected(client: StatsClient, peer: Peer) -> None:
    """Wait until a first value of category `wait` is acknowledged."""
    peer.wait(lambda: peer.hellos)
    client.reporter("wait").add_stat("k", 0.0)
    assert client.flush(10)
