"""A careless worker of the soak: it speaks the wire by itself, says things twice, and leaves gaps.

Run as `python -m tests.soak.careless ADDRESS STREAM NAME DIRECTORY`. The client never repeats what it knows
to be stored, so that duplicates and gaps come from here: each batch may be sent twice, or before the one that
it follows. It reports, and ends at SIGTERM, as `tests.soak.worker` does.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

import zmq

from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Nack,
    Welcome,
    decode,
    encode,
    encode_series,
)
from tests import oracle
from tests.soak.worker import FLUSH_S, PIECE, RUN, Report

CATEGORY = "soak time"
_UNANSWERED_S = 1.0
_IN_FLIGHT = 8


class Careless:
    """One session, kept over any number of connections."""

    def __init__(self, address: str, stream: int, name: str, directory: Path) -> None:
        self._address, self._stream, self._name = address, stream, name
        self._report = Report(directory, stream)
        self._session, self._process = os.urandom(16), os.urandom(16)
        self._random = random.Random(stream)
        self._context = zmq.Context()
        self._dealer: zmq.Socket[bytes] | None = None
        self._heard_s = self._moved_s = 0.0
        self._welcomed = False
        self._frames: list[bytes] = []
        self._durable = self._sent = self._nacks = 0

    def push(self) -> None:
        """Make some more batches, unless too many wait already."""
        while len(self._frames) - self._durable < self._random.randrange(1, _IN_FLIGHT):
            self._report.say(sent=(len(self._frames) + 1) * PIECE)
            self._frames.append(self._batch(len(self._frames) + 1))

    def _batch(self, seq: int) -> bytes:
        first = (seq - 1) * PIECE
        values = [oracle.value(self._stream, first + index) for index in range(PIECE)]
        series = encode_series([(oracle.key(self._stream), 0)])
        counts, column = struct.pack("<I", PIECE), struct.pack(f"<{PIECE}d", *values)
        now_ns = time.time_ns()
        return encode(
            Batch(self._session, seq, CATEGORY, 0, None, 0, now_ns, now_ns, series, counts, column, 0, 0)
        )

    def speak(self) -> None:
        """Send what waits, out of order and twice as it comes, and hear what is answered."""
        if self._dealer is None or time.monotonic() - self._heard_s > _UNANSWERED_S:
            self._connect()
        assert self._dealer is not None
        if time.monotonic() - self._moved_s > _UNANSWERED_S:
            # As a client does: a frame that nobody took, or the one NACK for a gap, may be lost in silence.
            self._sent, self._moved_s = self._durable, time.monotonic()
        if self._welcomed:
            waiting = self._frames[self._sent :]
            self._sent = len(self._frames)
            if self._random.random() < 0.2:
                waiting.reverse()
            for frame in waiting:
                for _ in range(self._random.choice([1, 1, 2])):
                    self._send(frame)
            self._send(encode(Heartbeat(self._session)))
        while self._dealer.poll(10):
            self._hear(self._dealer.recv())

    def _connect(self) -> None:
        if self._dealer is not None:
            self._dealer.close(0)
        self._dealer = self._context.socket(zmq.DEALER)
        self._dealer.connect(self._address)
        self._heard_s, self._welcomed = time.monotonic(), False
        info = {"pid": os.getpid()}
        self._send(
            encode(Hello(self._session, self._name, RUN, self._process, info, self._durable + 1, None))
        )

    def _send(self, frame: bytes) -> None:
        assert self._dealer is not None
        try:
            self._dealer.send(frame, zmq.DONTWAIT)
        except zmq.Again:
            pass  # nobody takes it: it is sent again some time

    def _hear(self, frame: bytes) -> None:
        message = decode(frame)
        self._heard_s = time.monotonic()
        if isinstance(message, Welcome | Ack):
            assert message.durable_seq >= self._durable, "acknowledged, and then not"
            if message.durable_seq > self._durable:
                self._moved_s = self._heard_s
            self._durable = message.durable_seq
            self._report.say(acked=self._durable * PIECE)
        if isinstance(message, Welcome):
            self._welcomed = True
            # Of what is stored it sends the last again: its acknowledgement might have been lost.
            self._sent = max(self._durable - 1, 0)
        elif isinstance(message, Nack):
            self._nacks += 1
            self._report.say(nacks=self._nacks)
            self._sent = message.expected_seq - 1 if message.expected_seq else self._sent
            self._heard_s = self._heard_s if message.expected_seq else 0.0

    def finish(self) -> bool:
        """Deliver all that is left; return whether that went."""
        deadline = time.monotonic() + FLUSH_S
        while self._durable < len(self._frames) and time.monotonic() < deadline:
            self.speak()
        self._send(encode(Bye(self._session)))
        self._report.say(delivered=int(self._durable == len(self._frames)))
        assert self._dealer is not None
        self._dealer.close(1000)
        self._context.term()
        return self._durable == len(self._frames)


def main(address: str, stream: int, name: str, directory: Path) -> bool:
    """Push until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    careless = Careless(address, stream, name, directory)
    while signal.SIGTERM not in signal.sigpending():
        time.sleep(0.02)
        careless.push()
        careless.speak()
    return careless.finish()


if __name__ == "__main__":
    address, stream, name, directory = sys.argv[1:]
    sys.exit(0 if main(address, int(stream), name, Path(directory)) else 1)
