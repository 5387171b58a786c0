"""FeedSender: the engine's end of the feed of raw values; it never slows the engine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import zmq

_HIGH_WATER_MESSAGES = 1000


class FeedSender:
    """A PUB that drops what a writer's process cannot take at once; what it drops counts as unseen.

    Nothing is sent until a writer that overrides `on_add_stat` lets it be wanted.
    """

    def __init__(self) -> None:
        # A short path of its own: the names of such sockets are limited to about a hundred bytes.
        self._directory = Path(tempfile.mkdtemp(prefix="stats-aggregator-"))
        self.endpoint = f"ipc://{self._directory}/feed"
        self.wanted = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MESSAGES)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.endpoint)

    def want(self) -> None:
        """Send from now on."""
        self.wanted = True

    def batch(self, run: str, category: str, ordinal: int, frame: bytes) -> None:
        """Show a batch."""
        self._send(b"V", run, category, ordinal, frame)

    def closed(self, run: str, category: str, ordinal: int) -> None:
        """Say that a period's last batch was shown."""
        if self.wanted:
            self._send(b"C", run, category, ordinal)

    def _send(self, kind: bytes, run: str, category: str, ordinal: int, *frame: bytes) -> None:
        try:
            parts = [kind, run.encode(), category.encode(), b"%d" % ordinal, *frame]
            self._socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            pass  # a writer's process finds what is missing by the period's count of values

    def close(self) -> None:
        """Close the socket; closing twice is fine."""
        if not self._socket.closed:
            self._socket.close()
            self._context.term()
            shutil.rmtree(self._directory, ignore_errors=True)
