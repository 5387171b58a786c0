"""Crowd: many sessions in one process, each of which pushes a batch a second."""

from __future__ import annotations

import select
import time

import zmq

from tests.bench.raw_session import RawSession, ReadyBatch, Shape

_CONNECTING = 500
"""So many connect at a time: more than the backlog of a listening socket would be turned away."""


class Crowd:
    """One thread with a DEALER a session.

    To poll thousands of sockets takes long: it waits for their eventfds.
    """

    def __init__(self, address: str, sessions: int, shape: Shape) -> None:
        self._address, self._number, self._shape = address, sessions, shape
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, sessions + 100)

    def __enter__(self) -> Crowd:
        self._sessions: list[RawSession] = []
        for begin in range(0, self._number, _CONNECTING):
            count = min(_CONNECTING, self._number - begin)
            fresh = [RawSession(self._context, self._address) for _ in range(count)]
            for session in fresh:
                session.greet()
            self._sessions += fresh
        self._batches = [ReadyBatch(session.id, self._shape) for session in self._sessions]
        self._sent_at_s = [0.0] * self._number
        self._epoll = select.epoll()
        self._index = {int(session.socket.getsockopt(zmq.FD)): i for i, session in enumerate(self._sessions)}
        for fd in self._index:
            self._epoll.register(fd, select.EPOLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
        for session in self._sessions:
            session.close()
        self._context.term()

    @property
    def num_acknowledged(self) -> int:
        """How many batches the daemon has acknowledged."""
        return sum(session.durable_seq for session in self._sessions)

    def push(self, seconds: float) -> list[float]:
        """Push evenly for so long, and return how long each batch waited for its answer."""
        self._latencies_s: list[float] = []
        began, total = time.monotonic(), max(1, round(seconds * self._number))
        for sent in range(total):
            due = began + sent / self._number
            while (left_s := due - time.monotonic()) > 0:
                self._take(left_s)
            self._send(sent % self._number)
        while len(self._latencies_s) < total:
            self._take(1.0)
        return self._latencies_s

    def _send(self, index: int) -> None:
        self._sent_at_s[index] = time.monotonic()
        self._sessions[index].send(self._batches[index])
        # Sending may have swallowed the word that something came.
        self._hear(index)

    def _take(self, timeout_s: float) -> None:
        for fd, _ in self._epoll.poll(timeout_s):
            self._hear(self._index[fd])

    def _hear(self, index: int) -> None:
        session = self._sessions[index]
        while session.hears():
            before = session.durable_seq
            session.receive()
            took_s = time.monotonic() - self._sent_at_s[index]
            self._latencies_s += [took_s] * (session.durable_seq - before)
