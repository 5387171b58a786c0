"""Connection: one DEALER socket to the daemon, with its monitor. It is replaced, never repaired."""

from __future__ import annotations

import zmq

from .wire import MAX_MESSAGE_BYTES

_LINGER_MS = 250
_CONNECT_TIMEOUT_MS = 5_000
_HANDSHAKE_IVL_MS = 10_000
_RECONNECT_MS, _RECONNECT_MAX_MS = 100, 2_000
_SEND_HIGH_WATER = 64


class Connection:
    """Sends and receives without waiting; it belongs to one thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self.address = address
        self.socket = context.socket(zmq.DEALER)
        try:
            self.socket.setsockopt(zmq.LINGER, _LINGER_MS)
            self.socket.setsockopt(zmq.SNDHWM, _SEND_HIGH_WATER)
            self.socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_IVL_MS)
            self.socket.setsockopt(zmq.CONNECT_TIMEOUT, _CONNECT_TIMEOUT_MS)
            self.socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
            self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
            self.socket.setsockopt(zmq.MAXMSGSIZE, 2 * MAX_MESSAGE_BYTES)
            # Nothing is taken for sent before the daemon is there: HELLO's round trip is the network's.
            self.socket.setsockopt(zmq.IMMEDIATE, 1)
            # Only for an address that is one: else "localhost" could become ::1, where no daemon listens.
            self.socket.setsockopt(zmq.IPV6, int("[" in address))
            self.socket.connect(address)
        except zmq.ZMQError:
            self.socket.close(0)
            raise
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    def send(self, frame: bytes) -> bool:
        """Send `frame`; return False where it would have to wait."""
        try:
            self.socket.send(frame, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def receive(self) -> bytes | None:
        """Return a frame that has come, if any. What is more than one frame is no message."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return None
            if len(frames) == 1:
                return frames[0]

    def lost(self) -> bool:
        """Return whether the daemon has gone since the last look."""
        found = False
        try:
            while True:
                # It tells of nothing but that; zmq.utils.monitor, which reads it, brings asyncio with it.
                self.monitor.recv_multipart(zmq.DONTWAIT)
                found = True
        except zmq.Again:
            return found

    def close(self, *, linger: bool) -> None:
        """Close the socket; with `linger` what was sent is waited for, but not long."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(_LINGER_MS if linger else 0)
