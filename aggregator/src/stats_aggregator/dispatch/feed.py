"""Feed: the raw values on their way to `on_add_stat`, as the engine passes them on.

Messages of the server's PUB socket, to which a SUB of each process connects whose plugin asks for them:
`[b"V", run, category, ordinal, BATCH frame]` for a batch that was counted, and `[b"C", run, category,
ordinal]` after the last one of a period.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import zmq

QUEUE_BYTES = 64 << 20
"""How much of a run's values waits for one plugin; beyond it the oldest batches go, and count as unseen."""


class RawBatch(NamedTuple):
    """A batch as its worker sent it, and the period that it was counted in. The last of a period is empty."""

    category: str
    ordinal: int
    frame: bytes


class FeedQueue:
    """The batches of a run that wait for one plugin, bounded; put on one thread and taken on another."""

    def __init__(self, on_put: Callable[[], None]) -> None:
        self._on_put = on_put
        self._lock = threading.Lock()
        self._batches: deque[RawBatch] = deque()
        self._size_bytes = 0

    def put(self, batch: RawBatch) -> None:
        """Add a batch; where there is no room, the oldest make it."""
        with self._lock:
            self._batches.append(batch)
            self._size_bytes += len(batch.frame)
            if self._size_bytes > QUEUE_BYTES:
                self._make_room()
        self._on_put()

    def _make_room(self) -> None:
        # The ends of periods are kept: they are small, and writers wait for them.
        ends = deque[RawBatch]()
        while self._size_bytes > QUEUE_BYTES:
            oldest = self._batches.popleft()
            self._size_bytes -= len(oldest.frame)
            if not oldest.frame:
                ends.append(oldest)
        self._batches.extendleft(reversed(ends))

    def take(self) -> RawBatch | None:
        """Return the oldest batch, or None where none waits."""
        with self._lock:
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._size_bytes -= len(batch.frame)
            return batch


class FeedReceiver:
    """A thread that receives the feed and puts it into the queues of the run's plugins."""

    def __init__(self, endpoint: str, queues_of: Callable[[str], list[FeedQueue]]) -> None:
        self._endpoint = endpoint
        self._queues_of = queues_of
        self._thread = threading.Thread(target=self._receive, name="feed", daemon=True)

    def start(self) -> None:
        """Connect and begin to receive, until the process ends."""
        self._thread.start()

    def _receive(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.connect(self._endpoint)
            socket.subscribe(b"")
            while True:
                kind, run, category, ordinal, *frame = socket.recv_multipart()
                batch = RawBatch(category.decode(), int(ordinal), frame[0] if kind == b"V" else b"")
                for queue in self._queues_of(run.decode()):
                    queue.put(batch)
