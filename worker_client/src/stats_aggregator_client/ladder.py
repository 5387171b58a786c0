"""Ladder: makes what waits smaller where memory is short, rung by rung, the oldest first.

A pass joins neighbours in pairs and the next pass the pairs, so that an outage's time is resolved evenly, and
each value is merged as often as the logarithm of what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .chunk import Chunk, join
from .counts import Counts
from .fold import Fold
from .lane import Item, Lane, Note, Rung
from .plain import is_same
from .rungs import Job, SameWindow, as_late, find
from .wire import Kind

_RUN_BYTES = 64 << 10
"""Chunks that belong together are joined to about so much before they are folded."""
_LOOKS = 200
"""So many items are looked at without a pause."""


class Ladder:
    """Does one piece of work a call, about a millisecond long; its caller holds the outbox's lock."""

    def __init__(
        self,
        lanes: Callable[[], Iterable[Lane]],
        counts: Counts,
        alike: Callable[[Chunk, Chunk], bool],
        same_window: SameWindow,
    ) -> None:
        self._lanes = lanes
        self._counts = counts
        self._alike = alike
        self._same_window = same_window
        self._job: Job | None = None

    def step(self) -> int | None:
        """Do a piece of work; return how many bytes it freed, or None where nothing can be made smaller."""
        if self._job is not None:
            return self._work(self._job)
        if self._look(Rung.FOLD):
            return 0
        fresh = [lane for lane in self._lanes() if lane.fresh]
        if fresh:
            return self._press(min(fresh, key=lambda lane: lane.fresh[0].arrival))
        return 0 if any(self._look(rung) for rung in list(Rung)[1:]) else None

    def give_up(self) -> None:
        """Leave what is worked on as it was."""
        self._job = None

    def _press(self, lane: Lane) -> int:
        """Move the oldest fresh item to where the rungs are, joined with the chunks that belong to it."""
        item = lane.fresh.popleft()
        if isinstance(item, Note):
            freed = _drop_told_before(lane, item)
            lane.pressed.append(item)
            return freed
        run, size = [item], len(item.values)
        while lane.fresh and size < _RUN_BYTES:
            following = lane.fresh[0]
            if not isinstance(following, Chunk) or not self._alike(run[-1], following):
                break
            run.append(following)
            size += len(following.values)
            lane.fresh.popleft()
        joined = join(run)
        if joined is None:
            lane.pressed += run
            return 0
        lane.pressed.append(joined)
        return _cost(run) - joined.cost_bytes

    def _look(self, rung: Rung) -> bool:
        """Look for work on `rung`, in the lane where it is behind furthest; return whether it was."""
        behind = []
        for lane in self._lanes():
            cursor = lane.cursors[rung]
            if cursor.position >= len(lane.pressed) and cursor.again is not None:
                cursor.position, cursor.again = max(cursor.again - 1, 0), None
            if cursor.position < len(lane.pressed):
                behind.append(lane)
        if not behind:
            return False
        lane = min(behind, key=lambda lane: lane.pressed[lane.cursors[rung].position].arrival)
        cursor = lane.cursors[rung]
        for index in range(cursor.position, min(cursor.position + _LOOKS, len(lane.pressed))):
            cursor.position = index + 1
            self._job = find(rung, lane, index, self._same_window)
            if self._job is not None:
                break
        return True

    def _work(self, job: Job) -> int:
        if job.heads != job.lane.heads:
            self._job = None  # what it works on was sent or dropped meanwhile
            return 0
        made: Chunk | Fold | None = None
        if job.work is not None:
            try:
                next(job.work)
            except StopIteration as end:
                made = end.value
            else:
                return 0
        self._job = None
        return self._settle(job, made)

    def _settle(self, job: Job, made: Chunk | Fold | None) -> int:
        """Put what was made in the place of what it was made of, if it is smaller."""
        lane, places = job.lane, job.places
        parts = [lane.pressed[place] for place in places]
        freed = _cost(parts) - (made.cost_bytes if made else 0)
        if job.dropped is not None and (made is None or freed <= 0):
            made, places, parts = None, (job.dropped,), [lane.pressed[job.dropped]]
            freed = _cost(parts)
        if freed <= 0 and job.rung is not Rung.BITS:
            return 0
        for place in job.late:
            item = lane.pressed[place]
            if not isinstance(item, Note):
                lane.pressed[place] = as_late(item)
        first, *others = places
        if made is None:
            others = [first]
        else:
            lane.pressed[first] = made
        for place in reversed(others):
            lane.remove(place)
        cursor = lane.cursors[job.rung]
        if job.rung is not Rung.FOLD:
            cursor.again = first if cursor.again is None else min(cursor.again, first)
        self._counts.notes_lost += sum(isinstance(part, Note) for part in parts)
        if isinstance(made, Fold):
            self._counts.folded += sum(part.num_values for part in parts if isinstance(part, Chunk))
        return freed


def _drop_told_before(lane: Lane, note: Note) -> int:
    """A fact that is told again need not be told before."""
    for index, item in enumerate(lane.pressed if note.kind is Kind.PROPERTY else ()):
        if (
            isinstance(item, Note)
            and (item.kind, item.type, item.cost_bytes) == (note.kind, note.type, note.cost_bytes)
            and is_same(item.value, note.value)
        ):
            lane.remove(index)
            return item.cost_bytes
    return 0


def _cost(items: Iterable[Item]) -> int:
    return sum(item.cost_bytes for item in items)
