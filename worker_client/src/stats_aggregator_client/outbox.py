"""Outbox: what is cut and not sent yet, in lanes by category, within bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from .chunk import Chunk, frame_bytes, join, split
from .clock import Clock
from .complaints import Complaints
from .counts import Counts
from .windows import last_boundary
from .wire import Closing, Kind

BATCH_BYTES = 256 << 10
"""The longest batch we make, credit permitting: past it messages only get slower to store."""
JOIN_BYTES = 64 << 10
"""A waiting chunk takes no more in past this size, so that joining stays cheap."""


class Note(NamedTuple):
    """A message of a category that is no values: a WRITE, a REWIND or a PROPERTY."""

    arrival: int
    kind: Kind
    step: int = 0
    type: str = ""
    value: Any = None
    cost_bytes: int = 400


class Lane:
    """What waits of one category, in order, and what its next batch has to confess."""

    def __init__(self, category: str) -> None:
        self.category = category
        self.name_bytes = len(category.encode())
        self.items: deque[Chunk | Note] = deque()
        self.closing = int(Closing.TIME)
        self.last_ns = 0
        """Until when batches were made, in the daemon's time: the next one's values are no older."""
        self.forget()

    def forget(self) -> None:
        """Nothing is owed any more: it travels in the batch that was just made."""
        self.lost = self.uncertain = self.steps = 0
        self.step: int | None = None

    @property
    def owes(self) -> bool:
        """Whether a batch must be sent even if no values are left."""
        return bool(self.lost or self.uncertain or self.steps or self.step is not None)


class Outbox:
    """Takes chunks and notes from any thread and gives batches to the sender.

    `lock` guards it and the buffers that feed it. It is reentrant: a signal handler or a finalizer may add a
    stat while its thread is in here.
    """

    def __init__(
        self,
        buffer_bytes: int,
        clock: Clock,
        counts: Counts,
        complaints: Complaints,
        wake: Callable[[], None],
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.counts = counts
        self.complaints = complaints
        self.wake = wake
        self.windows: tuple[int, ...] | None = None
        self.unsent_bytes = 0
        self.unacked_bytes = 0
        self._buffer_bytes = buffer_bytes
        self._lanes: dict[str, Lane] = {}
        self._busy: dict[str, Lane] = {}
        self._flying: deque[int] = deque()
        self._arrivals = 0
        self._settled = threading.Condition(self.lock)
        self._waiters = 0

    def lane(self, category: str) -> Lane:
        """Return the lane of `category`."""
        return self._lanes.setdefault(category, Lane(category))

    def arrival(self) -> int:
        """Return the next number of arrival."""
        self._arrivals += 1
        return self._arrivals

    def span_since(self, first_ns: int) -> tuple[int, int]:
        """Return the monotonic span of what is cut now; late at a boundary, it is of the window before."""
        last_ns = self.clock.now()
        if self.windows:
            boundary = last_boundary(self.clock.daemon_ns(last_ns), self.windows)
            boundary_ns = self.clock.monotonic_ns(boundary)
            if first_ns < boundary_ns:
                last_ns = boundary_ns - 1
        return min(first_ns, last_ns), last_ns

    def put(self, lane: Lane, item: Chunk | Note) -> None:
        """Take `item` behind all of its lane; drop the oldest of all lanes where memory is full."""
        with self.lock:
            pieces = split(item, BATCH_BYTES) if isinstance(item, Chunk) else [item]
            for piece in pieces:
                tail = lane.items[-1] if lane.items else None
                joined = self._joined(tail, piece)
                if tail is not None and joined is not None:
                    lane.items[-1] = joined
                    self.unsent_bytes += joined.cost_bytes - tail.cost_bytes
                else:
                    lane.items.append(piece)
                    self.unsent_bytes += piece.cost_bytes
                if isinstance(piece, Chunk):
                    lane.closing = piece.closing
            self._busy[lane.category] = lane
            if self.unsent_bytes + self.unacked_bytes > self._buffer_bytes:
                self._drop_oldest()

    def take(self, room_bytes: int, batch_bytes: int, *, alone: bool) -> tuple[Lane, Chunk | Note] | None:
        """Return what the next message carries, at most `room_bytes` long, or None where nothing fits.

        Of values it is at most `batch_bytes` long. `alone` says that no message is in flight: then the
        smallest possible one may be longer than the room.
        """
        with self.lock:
            if not self._busy:
                return None
            lane = min(self._busy.values(), key=_head_arrival)
            head = lane.items[0]
            if isinstance(head, Note):
                if head.cost_bytes > room_bytes and not alone:
                    return None
                item: Chunk | Note = lane.items.popleft()
                self.unsent_bytes -= head.cost_bytes
            else:
                item = self._take_chunk(lane, min(room_bytes, batch_bytes, BATCH_BYTES) - lane.name_bytes)
            if not lane.items:
                del self._busy[lane.category]
            self._flying.append(item.arrival)
            return lane, item

    def _take_chunk(self, lane: Lane, limit_bytes: int) -> Chunk:
        items = lane.items
        run: list[Chunk] = []
        size = 0
        while items:
            item = items[0]
            if not isinstance(item, Chunk) or (run and not self._alike(run[-1], item)):
                break
            size += frame_bytes(item)
            if run and size > limit_bytes:
                break
            run.append(item)
            items.popleft()
        self.unsent_bytes -= sum(chunk.cost_bytes for chunk in run)
        joined = join(run)
        # Where a key has two aggregations they go apart: no batch holds a key twice.
        first, *rest = split(joined, limit_bytes) if joined else [*split(run[0], limit_bytes), *run[1:]]
        items.extendleft(reversed(rest))
        self.unsent_bytes += sum(chunk.cost_bytes for chunk in rest)
        return first

    def put_back(self, lane: Lane, note: Note) -> None:
        """Take a note that was sent and not acknowledged in front of its lane again."""
        with self.lock:
            lane.items.appendleft(note)
            self._busy[lane.category] = lane
            self.unsent_bytes += note.cost_bytes

    def carry(self, lane: Lane, at_ns: int) -> None:
        """See to it that what `lane` owes is sent: in an empty batch of monotonic `at_ns` if none is next."""
        with self.lock:
            if lane.owes and not (lane.items and isinstance(lane.items[0], Chunk)):
                arrival = lane.items[0].arrival if lane.items else self.arrival()
                lane.items.appendleft(Chunk(arrival, lane.closing, None, 0, at_ns, at_ns))
                self.unsent_bytes += lane.items[0].cost_bytes
                self._busy[lane.category] = lane

    def landed(self, messages: int) -> None:
        """The `messages` that were taken first need no waiting for any more."""
        with self.lock:
            for _ in range(messages):
                self._flying.popleft()
            if self._waiters:
                self._settled.notify_all()

    def wait_settled(self, timeout_s: float) -> bool:
        """Wait until all that was put needs no waiting for any more; return whether that is so."""
        with self.lock:
            newest = self._arrivals
            self._waiters += 1
            try:
                return self._settled.wait_for(lambda: self._oldest() > newest, timeout_s)
            finally:
                self._waiters -= 1

    @property
    def unsettled(self) -> bool:
        """Whether anything waits or is in flight."""
        return bool(self._busy or self._flying)

    def unsent_values(self) -> int:
        """Return how many values are cut and not sent."""
        with self.lock:
            chunks = (item for lane in self._busy.values() for item in lane.items if isinstance(item, Chunk))
            return sum(chunk.num_values for chunk in chunks)

    def lose_all(self) -> None:
        """Count all that waits as lost: the client closes."""
        with self.lock:
            for lane in self._busy.values():
                self.counts.notes_lost += sum(isinstance(item, Note) for item in lane.items)
                lane.items = deque(item for item in lane.items if isinstance(item, Chunk))
            self.counts.lost += self.unsent_values()
            self._busy.clear()
            self.unsent_bytes = 0

    def _oldest(self) -> int:
        heads = [_head_arrival(lane) for lane in self._busy.values()]
        return min([*heads, *self._flying], default=self._arrivals + 1)

    def _alike(self, left: Chunk, right: Chunk) -> bool:
        if self.windows is None or left.moves_step or left.closing != right.closing:
            return False
        ends = (self.clock.daemon_ns(left.last_ns), self.clock.daemon_ns(right.last_ns))
        return last_boundary(ends[0], self.windows) == last_boundary(ends[1], self.windows)

    def _joined(self, tail: Chunk | Note | None, piece: Chunk | Note) -> Chunk | None:
        if not isinstance(tail, Chunk) or not isinstance(piece, Chunk):
            return None
        small = len(tail.values) + len(piece.values) <= JOIN_BYTES
        return join([tail, piece]) if small and self._alike(tail, piece) else None

    def _drop_oldest(self) -> None:
        touched: dict[str, int] = {}
        while self._busy and self.unsent_bytes + self.unacked_bytes > self._buffer_bytes:
            lane = min(self._busy.values(), key=_head_arrival)
            item = lane.items.popleft()
            self.unsent_bytes -= item.cost_bytes
            if isinstance(item, Chunk):
                lane.lost += item.num_values
                lane.steps += item.steps
                lane.step = lane.step if item.step is None else item.step
                self.counts.lost += item.num_values
                touched[lane.category] = item.last_ns
            else:
                self.counts.notes_lost += 1
            if not lane.items:
                del self._busy[lane.category]
        for category, at_ns in touched.items():
            self.carry(self._lanes[category], at_ns)
        self.complaints.once(
            "overflow",
            "the buffer of %d MiB is full of values that no daemon has acknowledged: the oldest are dropped "
            "from now on and counted as lost",
            self._buffer_bytes >> 20,
        )


def _head_arrival(lane: Lane) -> int:
    return lane.items[0].arrival
