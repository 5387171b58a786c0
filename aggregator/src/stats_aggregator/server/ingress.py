"""Ingress: the daemon's socket, drained a group at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator

import zmq

from stats_aggregator_client.wire import MAX_MESSAGE_BYTES

from .. import failpoints
from ..errors import BindError

_GROUP_MESSAGES = 512
_GROUP_BYTES = 8 << 20
_HIGH_WATER_MESSAGES = 64
_SMALL_MESSAGES, _SMALL_BYTES = 32, 256 << 10
_GATHER_NS = 25_000_000
_DONTWAIT, _MORE = int(zmq.DONTWAIT), int(zmq.DONTWAIT | zmq.SNDMORE)

Received = tuple[bytes, bytes]


class Ingress:
    """A ROUTER that workers connect to, and a pipe that wakes whoever waits for it.

    `address` is where it listens, with the port that was taken for port 0. `dropped` counts messages that
    were no single frame.
    """

    def __init__(self, bind: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        # Before bind: they hold for connections that are made afterwards.
        self._socket.setsockopt(zmq.RCVHWM, _HIGH_WATER_MESSAGES)
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MESSAGES)
        # libzmq hangs up past this without a word; our own limit, which is answered, is well below.
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, 10_000)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
        self._socket.setsockopt(zmq.BACKLOG, 4096)
        self._socket.setsockopt(zmq.LINGER, 500)
        # A reply to who is gone is an error then, which is how it becomes known.
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.IPV6, bind.startswith("tcp://["))
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            hint = (
                ": is another daemon running there? Choose another --bind"
                if error.errno == zmq.EADDRINUSE
                else ""
            )
            raise BindError(bind, f"{error.strerror}{hint}") from error
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.dropped = 0
        self.is_idle = True
        self._next_ns = 0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._wake_read, zmq.POLLIN)

    @property
    def wake_fd(self) -> int:
        """Where a byte written, by a signal or another thread, ends the wait."""
        return self._wake_write

    def wake(self) -> None:
        """End the wait, from any thread."""
        try:
            os.write(self._wake_write, b"\0")
        except OSError:
            pass  # full: it wakes anyway; closed: nobody waits any more

    def wait(self, timeout_ms: int) -> None:
        """Wait for a message, or to be woken.

        Small groups begin at least 25 ms apart: a thousand workers that each speak once a second shall not
        cost a thousand syncs.
        """
        for ready, _ in self._poller.poll(timeout_ms):
            if ready == self._wake_read:
                os.read(self._wake_read, 4096)
        early_ns = self._next_ns - time.monotonic_ns()
        if early_ns > 0:
            time.sleep(early_ns / 1e9)

    def receive(self) -> Iterator[Received]:
        """Yield what has come, up to a group's size, without waiting; `is_idle` says whether that is all.

        While one message is looked at the next ones come: the busier, the larger a group.
        """
        receive, size_bytes, self.is_idle = self._socket.recv, 0, False
        began_ns = time.monotonic_ns()
        for num in range(_GROUP_MESSAGES):
            try:
                peer = receive(_DONTWAIT)
            except zmq.Again:
                self.is_idle = True
                is_small = 0 < num < _SMALL_MESSAGES and size_bytes < _SMALL_BYTES
                self._next_ns = began_ns + _GATHER_NS if is_small else 0
                return
            # A message comes whole: who sent it, and at least one frame. recv_multipart takes twice as long.
            frame = receive(_DONTWAIT, copy=False)
            if frame.more:
                self._socket.recv_multipart(zmq.DONTWAIT)
                self.dropped += 1
                continue
            yield peer, frame.bytes
            size_bytes += len(frame)
            if size_bytes >= _GROUP_BYTES:
                return

    def send(self, replies: Iterable[Received]) -> None:
        """Send replies; those to workers that are gone, or too slow to read, are dropped by the socket."""
        for peer, frame in replies:
            failpoints.reach("engine.reply.before")
            try:
                self._send(peer, frame)
            except zmq.ZMQError:
                continue  # a later ACK says the same
            failpoints.reach("engine.reply.after")

    def reaches(self, peer: bytes, frame: bytes) -> bool:
        """Send a frame to one peer; return whether it is connected, be it too slow to read."""
        try:
            self._send(peer, frame)
        except zmq.ZMQError as error:
            return error.errno != zmq.EHOSTUNREACH
        return True

    def _send(self, peer: bytes, frame: bytes) -> None:
        # Where the first frame goes the second does too. send_multipart takes twice as long.
        self._socket.send(peer, _MORE)
        self._socket.send(frame, _DONTWAIT)

    def hang_up(self) -> None:
        """Take and send nothing more; `wake` may still be called."""
        if not self._socket.closed:
            self._socket.close()
            self._context.term()

    def close(self) -> None:
        """Close all of it, when nobody wakes it any more; closing twice is fine."""
        self.hang_up()
        if self._wake_write >= 0:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1
