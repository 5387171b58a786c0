"""RawSession: one DEALER that pushes ready-made batches, so that the daemon is what is measured."""

from __future__ import annotations

import os
import struct
import time
from typing import NamedTuple

import numpy as np
import zmq

from stats_aggregator_client.wire import Ack, Batch, Hello, Welcome, Write, decode, encode, encode_series

CATEGORY = "bench"
_SEQ, _T_FIRST, _T_LAST = 1 << 62, (1 << 62) + 1, (1 << 62) + 2
"""Stand for what changes from batch to batch: as large, they take eight bytes."""


class Shape(NamedTuple):
    """What a batch holds."""

    keys: int
    values: int
    """Of each key."""

    @property
    def num_values(self) -> int:
        return self.keys * self.values

    def __str__(self) -> str:
        return f"{self.keys:,}x{self.values:,}"


class ReadyBatch:
    """A batch that is encoded once; only its seq and times are written anew."""

    def __init__(self, session: bytes, shape: Shape, category: str = CATEGORY, first_key: int = 0) -> None:
        keys = [(f"Environment/key {i}", 0) for i in range(first_key, first_key + shape.keys)]
        counts = np.full(shape.keys, shape.values, "<u4").tobytes()
        seed = int.from_bytes(session[:4], "little") + first_key
        column = np.random.default_rng(seed).normal(size=shape.num_values).astype("<f8").tobytes()
        series = encode_series(keys)
        batch = Batch(session, _SEQ, category, 0, None, 1, _T_FIRST, _T_LAST, series, counts, column, 0, 0)
        self._frame = bytearray(encode(batch))
        self._places = [self._frame.index(struct.pack(">Q", mark)) for mark in (_SEQ, _T_FIRST, _T_LAST)]

    def __len__(self) -> int:
        return len(self._frame)

    def frame(self, seq: int) -> bytearray:
        """Return the frame for a seq, of now; it is good until the next is asked for."""
        now_ns = time.time_ns()
        for place, field in zip(self._places, (seq, now_ns, now_ns), strict=True):
            struct.pack_into(">Q", self._frame, place, field)
        return self._frame


class RawSession:
    """One session on a socket of its own, without the client's care: a lost connection is an error."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self.id = os.urandom(16)
        self.seq = self.durable_seq = self.credit = 0
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)
        worker = f"pusher-{self.id.hex()}"
        self.socket.send(encode(Hello(self.id, worker, "bench", os.urandom(16), {}, 1, None)))

    def greet(self) -> None:
        """Wait for the daemon's WELCOME."""
        assert self.socket.poll(60_000), "no answer to HELLO"
        welcome = decode(self.socket.recv())
        assert isinstance(welcome, Welcome), welcome
        self.credit = welcome.credit

    def may_send(self, size_bytes: int) -> bool:
        """Return whether the credit lets another batch of this size be sent."""
        in_flight = self.seq - self.durable_seq
        return in_flight == 0 or (in_flight + 1) * size_bytes <= self.credit

    def send(self, batch: ReadyBatch) -> None:
        """Send a batch with the next seq."""
        self.seq += 1
        self.socket.send(batch.frame(self.seq))

    def write(self, category: str, step: int) -> None:
        """End the period of a category."""
        self.seq += 1
        self.socket.send(encode(Write(self.id, self.seq, category, step)))

    def hears(self) -> bool:
        """Return whether something has come. `poll` would build a poller each time."""
        return bool(int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def receive(self) -> None:
        """Wait for the next answer, and take it."""
        reply = decode(self.socket.recv())
        assert isinstance(reply, Ack), reply
        self.durable_seq, self.credit = reply.durable_seq, reply.credit

    def settle(self) -> None:
        """Wait until all is acknowledged."""
        while self.durable_seq < self.seq:
            self.receive()

    def close(self) -> None:
        self.socket.close()
