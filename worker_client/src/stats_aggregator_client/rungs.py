"""Rungs: where a lane's items can be made smaller, and the work that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .chunk import Chunk
from .fold import Fold
from .folding import Work, coarsen, fold_chunk, join_items, worth_folding
from .lane import Lane, Note, Rung
from .wire import Kind

SameWindow = Callable[[int, int], bool]


class Job(NamedTuple):
    """Work on the items of `lane.pressed` at `places`: what it makes takes the first place, the others go.

    Without work, or where what it makes takes no less memory, `dropped` goes alone, where there is one. The
    values at the places `late` are then late. It is off once the lane's `heads` have moved.
    """

    rung: Rung
    lane: Lane
    heads: int
    places: tuple[int, ...]
    work: Work | None
    dropped: int | None = None
    late: tuple[int, ...] = ()


def find(rung: Rung, lane: Lane, index: int, same_window: SameWindow) -> Job | None:
    """Return the work of `rung` that begins at `index`, if there is any."""
    item = lane.pressed[index]
    work: Work | None = None
    if isinstance(item, Note):
        return _supersede(lane, index) if rung is Rung.WRITES else None
    if rung in (Rung.STEPS, Rung.WINDOWS):
        return _join(rung, lane, index, same_window)
    if rung is Rung.FOLD and isinstance(item, Chunk) and worth_folding(item):
        work = fold_chunk(item)
    elif rung is Rung.BITS and isinstance(item, Fold) and item.mantissa_bits:
        work = coarsen(item, item.mantissa_bits - 1)
    return Job(rung, lane, lane.heads, (index,), work) if work else None


def _join(rung: Rung, lane: Lane, index: int, same_window: SameWindow) -> Job | None:
    other = _neighbour(lane, range(index + 1, len(lane.pressed)))
    left, right = lane.pressed[index], lane.pressed[index if other is None else other]
    if other is None or isinstance(left, Note) or isinstance(right, Note) or left.closing != right.closing:
        return None
    if rung is Rung.STEPS and not same_window(left.last, right.last):
        return None
    return Job(rung, lane, lane.heads, (index, other), join_items(left, right))


def _supersede(lane: Lane, index: int) -> Job | None:
    """A WRITE goes where another one follows, and the values before it belong to that one, late.

    Not where some of them were sent already: then they would not be counted.
    """
    following = index + 1
    while following < len(lane.pressed) and not _ends_period(lane, following):
        following += 1
    if not _is(Kind.WRITE, lane, index) or not _is(Kind.WRITE, lane, following):
        return None
    # In pairs: the one that followed stays in this pass.
    lane.cursors[Rung.WRITES].position = following + 1
    begin = _begin_of_period(lane, index)
    if not begin and lane.has_begun:
        return None
    late = tuple(place for place in range(begin, index) if not isinstance(lane.pressed[place], Note))
    before = _neighbour(lane, range(index - 1, -1, -1))
    after = _neighbour(lane, range(index + 1, following))
    if before is not None and after is not None:
        left, right = lane.pressed[before], lane.pressed[after]
        if not isinstance(left, Note) and not isinstance(right, Note) and left.closing == right.closing:
            work = _coarsest(join_items(as_late(left), right))
            return Job(Rung.WRITES, lane, lane.heads, (before, index, after), work, index, late)
    return Job(Rung.WRITES, lane, lane.heads, (index,), None, index, late)


def _coarsest(joined: Work) -> Work:
    # All that waits has lost its bits by now: so does what is folded now.
    made = yield from joined
    return (yield from coarsen(made, 0)) if isinstance(made, Fold) and made.mantissa_bits else made


def as_late(item: Chunk | Fold) -> Chunk | Fold:
    """Return `item` with all of its values late."""
    return item._replace(late=item.num_values)


def _begin_of_period(lane: Lane, index: int) -> int:
    """Return the first place of the period that the note at `index` ends."""
    while index and not _ends_period(lane, index - 1):
        index -= 1
    return index


def _neighbour(lane: Lane, places: Iterable[int]) -> int | None:
    """Return the first of `places` that holds values, if only properties are before it."""
    for place in places:
        if not isinstance(lane.pressed[place], Note):
            return place
        if not _is(Kind.PROPERTY, lane, place):
            return None
    return None


def _ends_period(lane: Lane, index: int) -> bool:
    return _is(Kind.WRITE, lane, index) or _is(Kind.REWIND, lane, index)


def _is(kind: Kind, lane: Lane, index: int) -> bool:
    item = lane.pressed[index] if index < len(lane.pressed) else None
    return isinstance(item, Note) and item.kind is kind
