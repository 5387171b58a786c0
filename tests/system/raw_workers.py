"""Workers of a crash test: each speaks the wire on a socket of its own, and knows what was acknowledged."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable, Iterable, Sequence

import zmq

from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Closing,
    Hello,
    Message,
    Nack,
    Property,
    Reject,
    Welcome,
    decode,
    encode,
    encode_series,
)
from tests.oracle import Oracle, key, value

CATEGORY = "crash"
WINDOW = 2
"""How many messages a worker sends without an answer."""


class RawWorker:
    """One session. Its messages are made once, so that what is sent again is the same to the last bit.

    `script` has a letter for each seq: `p` a property, `b` a batch, `x` a batch that must be refused, and `-`
    a seq that is given up, as by a client whose daemon has lost it.
    """

    def __init__(self, number: int, oracle: Oracle, script: str, num_values: int) -> None:
        self.number = number
        self.session = struct.pack(">QQ", 1, number)
        self.durable_seq = 0
        self._oracle = oracle
        self._given_up = {seq for seq, letter in enumerate(script, 1) if letter == "-"}
        self._frames: list[bytes] = []
        self._num_values: list[int] = []
        for letter in script:
            before = self._num_values[-1] if self._num_values else 0
            self._frames.append(self._frame(letter, before, num_values))
            self._num_values.append(before + num_values * (letter == "b"))
        self._sent_seq = 0
        self._most_sent_seq = 0
        self._welcomed = False
        self.socket: zmq.Socket[bytes] | None = None

    @property
    def num_messages(self) -> int:
        return len(self._frames)

    @property
    def done(self) -> bool:
        """Whether all is acknowledged."""
        return self.durable_seq == len(self._frames)

    def frame(self, seq: int) -> bytes:
        return self._frames[seq - 1]

    def _frame(self, letter: str, index: int, num_values: int) -> bytes:
        seq, now_ns = len(self._frames) + 1, time.time_ns()
        if letter == "p":
            message = Property(self.session, seq, CATEGORY, "hyperparameters", {"worker": self.number})
            return encode(message)
        values = [value(self.number, at) for at in range(index, index + num_values)]
        counts = struct.pack("<I", num_values + (letter == "x"))
        columns = (encode_series([(key(self.number), 0)]), counts, struct.pack(f"<{num_values}d", *values))
        return encode(
            Batch(self.session, seq, CATEGORY, Closing.TIME, None, 1, now_ns, now_ns, *columns, 0, 0)
        )

    def connect(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        """Begin anew on a fresh socket."""
        self.disconnect()
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)
        self._greet()

    def disconnect(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _greet(self) -> None:
        assert self.socket is not None
        self._welcomed = False
        process = struct.pack(">QQ", 2, self.number)
        self.socket.send(
            encode(Hello(self.session, f"w{self.number}", "run", process, {}, self.durable_seq + 1, None))
        )

    def receive(self) -> None:
        """Take what the daemon has said so far."""
        while self.socket is not None and self.socket.poll(0):
            self._take(decode(self.socket.recv()))

    def send(self) -> None:
        """Send what the window permits."""
        if self.socket is None:
            return
        if self.durable_seq + 1 in self._given_up and self._welcomed:
            while self.durable_seq + 1 in self._given_up:
                self.durable_seq += 1
            self._greet()
        while self._welcomed and self._sent_seq < min(self.durable_seq + WINDOW, len(self._frames)):
            seq = self._sent_seq + 1
            if seq in self._given_up:
                return
            self._oracle.fired["sent again"] += seq <= self._most_sent_seq
            self._oracle.sent(self.number, self._num_values[seq - 1])
            self.socket.send(self._frames[seq - 1])
            self._sent_seq, self._most_sent_seq = seq, max(seq, self._most_sent_seq)

    def _take(self, message: Message) -> None:
        if isinstance(message, Nack):
            self._greet()
        elif isinstance(message, Reject):
            self._oracle.fired["refused"] += 1
        elif isinstance(message, Welcome):
            assert message.durable_seq >= self.durable_seq, "acknowledged, and gone after the restart"
            self._oracle.fired["kept without a word"] += message.durable_seq > self.durable_seq
            self._sent_seq, self._welcomed = message.durable_seq, True
            self._acknowledged(message.durable_seq)
        else:
            assert isinstance(message, Ack), message
            self._acknowledged(message.durable_seq)

    def _acknowledged(self, seq: int) -> None:
        assert seq <= self._most_sent_seq or seq in self._given_up, "acknowledged before it was sent"
        self.durable_seq = max(self.durable_seq, seq)
        if self.durable_seq:
            self._oracle.acked(self.number, self._num_values[self.durable_seq - 1])


class Crew:
    """Workers that one thread drives; each comes when the one before it has had its first answer."""

    def __init__(self, oracle: Oracle, scripts: Sequence[str], num_values: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._address = ""
        self.workers = [
            RawWorker(number, oracle, script, num_values) for number, script in enumerate(scripts)
        ]

    def connect(self, address: str) -> None:
        """Let all of them connect anew."""
        self._address = address
        for worker in self.workers:
            worker.disconnect()

    def work(self, ended: Callable[[], object], timeout_s: float = 30.0) -> bool:
        """Send until all is acknowledged, which is True, or until `ended` says that nobody is there."""
        deadline_s = time.monotonic() + timeout_s
        while not all(worker.done for worker in self.workers):
            assert time.monotonic() < deadline_s, f"acknowledged: {_seqs(self.workers)}"
            if ended():
                self._hear_the_last()
                return False
            zmq.select(self._connected(), [], [], 0.02)
            for worker in self.workers:
                worker.receive()
                worker.send()
        return True

    def is_half_done(self) -> bool:
        return all(2 * worker.durable_seq >= worker.num_messages for worker in self.workers)

    def _connected(self) -> list[zmq.Socket[bytes]]:
        for before, worker in itertools.pairwise([None, *self.workers]):
            if worker.socket is None and (before is None or before.durable_seq):
                worker.connect(self._context, self._address)
        return [worker.socket for worker in self.workers if worker.socket is not None]

    def _hear_the_last(self) -> None:
        # What it said before it ended is on its way, or was read already.
        for worker in self.workers:
            worker.receive()

    def close(self) -> None:
        for worker in self.workers:
            worker.disconnect()
        self._context.term()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _seqs(workers: Iterable[RawWorker]) -> dict[int, int]:
    return {worker.number: worker.durable_seq for worker in workers}
