"""Outbox: what is cut and not sent yet, in lanes by category, within bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from .chunk import VALUE_BYTES, Chunk, join, split
from .clock import Clock
from .complaints import Complaints
from .counts import Counts
from .door import Door
from .fold import Fold
from .history import History
from .ladder import Ladder
from .lane import Item, Lane, Note, Owed, Taken
from .log import LOGGER
from .shipment import BATCH_BYTES, Room, load
from .timeline import Timeline
from .windows import last_boundary, next_boundary
from .wire import MAX_MESSAGE_BYTES

_USUAL_WINDOWS = (10_000_000_000,)
JOIN_BYTES = 64 << 10
"""A waiting chunk takes no more in past this size, so that joining stays cheap."""


class Outbox:
    """Takes chunks and notes from any thread and gives what the next message carries to the sender.

    `door` guards it and the buffers that feed it.
    """

    def __init__(
        self,
        buffer_bytes: int,
        clock: Clock,
        counts: Counts,
        complaints: Complaints,
        wake: Callable[[], None],
        *,
        folds: bool = True,
    ) -> None:
        self.door = Door()
        self.clock = clock
        self.counts = counts
        self.complaints = complaints
        self.wake = wake
        self.timeline = Timeline(clock)
        self.history = History(buffer_bytes)
        self.windows: tuple[int, ...] | None = None
        self.unsent_bytes = 0
        self.unacked_bytes = 0
        # Callers cut when they have about one full batch, or a 32nd part of a small buffer.
        self.cut_values = min(BATCH_BYTES, buffer_bytes // 32) // VALUE_BYTES * 7 // 8
        self._buffer_bytes = buffer_bytes
        self._folds = folds
        # The sender begins to fold before callers have to, and ends where it need not begin again at once.
        self._short_bytes, self._enough_bytes = buffer_bytes // 8 * 7, buffer_bytes // 4 * 3
        self._longest_part_bytes = min(MAX_MESSAGE_BYTES, buffer_bytes // 2)
        self._short = False
        self._lanes: dict[str, Lane] = {}
        self._busy: dict[str, Lane] = {}
        self._ladder = Ladder(self._busy.values, counts, self._alike, self._same_window)
        self._flying: deque[int] = deque()
        self._arrivals = 0
        self._settled = threading.Condition(self.door.lock)
        self._waiters = 0

    def lane(self, category: str) -> Lane:
        """Return the lane of `category`."""
        return self._lanes.setdefault(category, Lane(category))

    @property
    def newest_arrival(self) -> int:
        """The number of what came last."""
        return self._arrivals

    @property
    def oldest_waiting(self) -> int:
        """The number of the oldest that waits to be sent; past all others where nothing does."""
        with self.door.lock:
            return min(map(_head_arrival, self._busy.values()), default=self._arrivals + 1)

    def arrival(self) -> int:
        """Return the next number of arrival."""
        self._arrivals += 1
        return self._arrivals

    def take_answer(
        self, sent_ns: int | None, received_ns: int, daemon_ns: int, windows: tuple[int, ...], *, begins: bool
    ) -> None:
        """Take what a WELCOME or an ACK has of time; `begins` for a WELCOME."""
        with self.door:  # nobody cuts meanwhile
            self.windows = windows
            self.timeline.take(sent_ns, received_ns, daemon_ns, windows, begins=begins)

    def begin_session(self) -> None:
        """What is sent from now on has its own order of times: nothing was sent in the session yet."""
        with self.door:
            for lane in self._lanes.values():
                lane.last_ns = 0

    def stamp(self) -> int:
        """Return the stamp of now."""
        with self.door.lock:
            return self.timeline.stamp()

    def span_since(self, first: int) -> tuple[int, int]:
        """Return the first and the last stamp of what is cut now and came since the stamp `first`.

        Where the cut is late at a boundary, all of it is of the window before: it was cut for that boundary.
        """
        last = max(self.timeline.stamp(), first)  # it is before `first` where another daemon's time is behind
        boundary = next_boundary(self.timeline.daemon_ns(first), self.windows or ())
        if boundary is not None:
            last = min(last, self.timeline.stamp_at(boundary) - 1)
        return first, last

    def put(self, lane: Lane, item: Chunk | Note) -> None:
        """Take `item` behind all of its lane; fold, or drop the oldest of all lanes, where memory is full."""
        with self.door:
            for piece in split(item, BATCH_BYTES) if isinstance(item, Chunk) else [item]:
                tail = lane.fresh[-1] if lane.fresh else None
                joined = self._joined(tail, piece)
                if tail is not None and joined is not None:
                    lane.fresh[-1] = joined
                    self.unsent_bytes += joined.cost_bytes - tail.cost_bytes
                else:
                    lane.fresh.append(piece)
                    self.unsent_bytes += piece.cost_bytes
                if isinstance(piece, Chunk):
                    lane.closing = piece.closing
            self._busy[lane.category] = lane
            if self._over_bytes() > 0:
                self._make_room()
            if self._folds and self.unsent_bytes + self.unacked_bytes > self._short_bytes:
                self.wake()

    def take(self, room_bytes: int, batch_bytes: int, *, alone: bool) -> Taken | None:
        """Return what the next message carries, at most `room_bytes` long, or None where nothing fits.

        Of values it is at most `batch_bytes` long. `alone` says that no message is in flight: then the
        smallest possible one may be longer than the room.
        """
        with self.door:
            if not self._busy:
                return None
            lane = min(self._busy.values(), key=_head_arrival)
            # A batch can be cut to any length, but notes and the series of a fold cannot.
            room = Room(min(room_bytes, batch_bytes, BATCH_BYTES), MAX_MESSAGE_BYTES if alone else room_bytes)
            head = lane.head
            shipment = load(lane, room, self._longest_part_bytes, self._alike)
            if shipment is None:
                return None
            if isinstance(head, Chunk) and isinstance(shipment.item, Fold):
                self.counts.folded += head.num_values
            lane.took(shipment.item)
            self.unsent_bytes -= shipment.freed_bytes
            if not lane:
                del self._busy[lane.category]
            self._flying.append(shipment.item.arrival)
            return Taken(lane, shipment.item, Owed() if isinstance(shipment.item, Note) else lane.settle())

    def give_up(self, taken: Taken) -> None:
        """Count as lost what was taken last and can be no message."""
        with self.door:
            self._flying.pop()
            taken.lane.owe(taken.owed)
            self._lose(taken.lane, taken.item)
            if self._waiters:
                self._settled.notify_all()

    def put_back(self, lane: Lane, note: Note) -> None:
        """Take a note that was sent and not acknowledged in front of its lane again."""
        with self.door:
            self._push(lane, note)

    def carry(self, lane: Lane, stamp: int) -> None:
        """See to it that what `lane` owes is sent: in an empty batch of that `stamp` if none is next."""
        with self.door:
            if lane.owes and (not lane or isinstance(lane.head, Note)):
                arrival = lane.head.arrival if lane else self.arrival()
                self._push(lane, Chunk(arrival, lane.closing, None, 0, stamp, stamp))

    def relieve(self) -> bool:
        """Fold a piece where the buffer is nearly full; return whether there is more to fold now.

        It takes about a thousandth of a second, for which callers may have to wait.
        """
        with self.door:
            used_bytes = self.unsent_bytes + self.unacked_bytes
            self._short = used_bytes > (self._enough_bytes if self._short else self._short_bytes)
            return self._short and self._folds and self._fold_piece()

    def landed(self, messages: int) -> None:
        """The `messages` that were taken first need no waiting for any more."""
        with self.door:
            for _ in range(messages):
                self._flying.popleft()
            if self._waiters:
                self._settled.notify_all()
            if self.unsent_bytes + self.unacked_bytes < self._buffer_bytes // 2:
                # This outage is over: what is said once an outage may be said again.
                self.complaints.forget("overflow")
                self.complaints.forget("writes")
                self.complaints.forget("loss")

    def wait_settled(self, timeout_s: float) -> bool:
        """Wait until all that was put needs no waiting for any more; return whether that is so."""
        with self.door.lock:
            if self.door.is_entered:
                return False  # a signal handler asks, and its own thread has half done what would be sent
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
        with self.door:
            items = (item for lane in self._busy.values() for item in lane)
            return sum(item.num_values for item in items if not isinstance(item, Note))

    def lose_all(self) -> None:
        """Count all that waits as lost: the client closes."""
        with self.door:
            self.counts.lost += self.unsent_values()
            for lane in self._busy.values():
                self.counts.notes_lost += sum(isinstance(item, Note) for item in lane)
                lane.clear()
            self._busy.clear()
            self.unsent_bytes = 0

    def _pop(self, lane: Lane) -> Item:
        item = lane.pop()
        self.unsent_bytes -= item.cost_bytes
        return item

    def _push(self, lane: Lane, item: Item) -> None:
        lane.push(item)
        self._busy[lane.category] = lane
        self.unsent_bytes += item.cost_bytes

    def _oldest(self) -> int:
        return min([self.oldest_waiting, *self._flying])

    def _alike(self, left: Chunk, right: Chunk) -> bool:
        if self.windows is None or left.moves_step or left.closing != right.closing:
            return False
        if left.late or right.late:  # what is not late stays as it is
            return False
        return self._same_window(left.last, right.last)

    def _same_window(self, left: int, right: int) -> bool:
        # Before a daemon has sent its windows, memory that is short takes them to be what they mostly are.
        windows = _USUAL_WINDOWS if self.windows is None else self.windows
        ends = (self.timeline.daemon_ns(left), self.timeline.daemon_ns(right))
        return last_boundary(ends[0], windows) == last_boundary(ends[1], windows)

    def _joined(self, tail: Chunk | Note | None, piece: Chunk | Note) -> Chunk | None:
        if not isinstance(tail, Chunk) or not isinstance(piece, Chunk):
            return None
        small = len(tail.values) + len(piece.values) <= JOIN_BYTES
        return join([tail, piece]) if small and self._alike(tail, piece) else None

    def _fold_piece(self) -> bool:
        """Make what waits smaller by a piece; return False where nothing can be made smaller."""
        notes_lost = self.counts.notes_lost
        try:
            freed_bytes = self._ladder.step()
        except Exception as error:  # noqa: BLE001 - a caller is here too, and training must not see it
            self._ladder.give_up()
            self.complaints.once(("fold", type(error)), "values could not be folded: %r", error)
            LOGGER.debug("the error of folding", exc_info=True)
            return False
        if freed_bytes is None:
            return False
        self.unsent_bytes -= freed_bytes
        self.complaints.once(
            "overflow",
            "the buffer of %d MiB is nearly full of values that no daemon has acknowledged: from now on the "
            "oldest are folded: counts, sums, means and extremes stay exact, percentiles become approximate",
            self._buffer_bytes >> 20,
        )
        if self.counts.notes_lost > notes_lost:
            self.complaints.once(
                "writes",
                "the buffer of %d MiB is too small for this outage even so: from now on a write_stats that "
                "another one follows is left out, and its values count as late in the period of the next",
                self._buffer_bytes >> 20,
            )
        return True

    def _over_bytes(self) -> int:
        return self.unsent_bytes + self.unacked_bytes - self._buffer_bytes

    def _make_room(self) -> None:
        while self._folds and self._over_bytes() > 0 and self._fold_piece():
            pass
        if self._over_bytes() > 0:
            self._drop_oldest()

    def _lose(self, lane: Lane, item: Item) -> None:
        if isinstance(item, Note):
            self.counts.notes_lost += 1
            return
        lane.lost += item.num_values
        lane.steps += item.steps
        lane.step = lane.step if item.step is None else item.step
        self.counts.lost += item.num_values

    def _drop_oldest(self) -> None:
        touched: dict[str, int] = {}
        while self._busy and (over_bytes := self._over_bytes()) > 0:
            lane = min(self._busy.values(), key=_head_arrival)
            item = self._pop(lane)
            if isinstance(item, Fold):
                item, rest = item.cut(over_bytes)
                if rest is not None:
                    self._push(lane, rest)
            if not isinstance(item, Note):
                touched[lane.category] = item.last
            self._lose(lane, item)
            if not lane:
                del self._busy[lane.category]
        for category, stamp in touched.items():
            self.carry(self._lanes[category], stamp)
        self.complaints.once(
            "loss",
            "the buffer of %d MiB is full of values that no daemon has acknowledged: the oldest are dropped "
            "from now on and counted as lost",
            self._buffer_bytes >> 20,
        )


def _head_arrival(lane: Lane) -> int:
    return lane.head.arrival
