"""Lane: what waits of one category, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

from .chunk import Chunk
from .fold import Fold
from .wire import Closing, Kind


class Note(NamedTuple):
    """A message of a category that is no values: a WRITE, a REWIND or a PROPERTY."""

    arrival: int
    kind: Kind
    step: int = 0
    type: str = ""
    value: Any = None
    cost_bytes: int = 400


Item = Chunk | Fold | Note


class Rung(IntEnum):
    """What is done where memory is short, in this order; losing the oldest comes after all of them."""

    FOLD = 0
    """Values are folded."""
    STEPS = 1
    """Neighbours of one time window join, also where the step moved between them."""
    WINDOWS = 2
    """Neighbours of different time windows join."""
    BITS = 3
    """Buckets lose a bit of mantissa."""
    WRITES = 4
    """A WRITE that another one follows is dropped, and what it parted joins: the older part is late."""


class Cursor:
    """How far a rung has come in a lane; `again` is where its next pass has to begin, if there is one."""

    position = 0
    again: int | None = None


class Owed(NamedTuple):
    """What the next batch of a lane has to say beside its own: what was lost, how the step moved in that."""

    lost: int = 0
    uncertain: int = 0
    steps: int = 0
    step: int | None = None


class Taken(NamedTuple):
    """What the next message carries."""

    lane: Lane
    item: Item
    owed: Owed


class Lane:
    """What waits of one category, and what its next batch has to confess.

    `pressed` is the older part, through which the rungs go; `fresh` is as it was put.
    """

    def __init__(self, category: str) -> None:
        self.category = category
        self.name_bytes = len(category.encode())
        self.pressed: list[Item] = []
        self.fresh: deque[Chunk | Note] = deque()
        self.cursors = [Cursor() for _ in Rung]
        self.heads = 0
        """Counts what was done at the head: who works on places in `pressed` sees that they have moved."""
        self.closing = int(Closing.TIME)
        self.has_begun = False
        """Whether values were taken off that the next WRITE ends: they cannot be counted as late any more."""
        self.last_ns = 0
        """The latest time that was sent in this session: the next batch's is no less."""
        self.forget()

    def __bool__(self) -> bool:
        return bool(self.pressed or self.fresh)

    def __iter__(self) -> Iterator[Item]:
        yield from self.pressed
        yield from self.fresh

    @property
    def head(self) -> Item:
        """The oldest item; there is one."""
        return self.pressed[0] if self.pressed else self.fresh[0]

    def pop(self) -> Item:
        """Take the oldest item off."""
        if not self.pressed:
            return self.fresh.popleft()
        item = self.pressed[0]
        self.heads += 1
        self.remove(0)
        return item

    def took(self, item: Item) -> None:
        """`item` is sent next."""
        if not isinstance(item, Note):
            self.has_begun = self.has_begun or item.num_values > 0
        elif item.kind is not Kind.PROPERTY:
            self.has_begun = False

    def push(self, item: Item) -> None:
        """Put an item before all others."""
        if not self.pressed and not isinstance(item, Fold):
            self.fresh.appendleft(item)
            return
        self.heads += 1
        self.pressed.insert(0, item)
        for cursor in self.cursors:
            cursor.position += 1
            cursor.again = None if cursor.again is None else cursor.again + 1

    def remove(self, index: int) -> None:
        """Take an item out of `pressed`."""
        del self.pressed[index]
        for cursor in self.cursors:
            cursor.position -= cursor.position > index
            if cursor.again is not None:
                cursor.again -= cursor.again > index

    def clear(self) -> None:
        """Forget all items."""
        self.pressed.clear()
        self.fresh.clear()
        self.cursors = [Cursor() for _ in Rung]
        self.heads += 1

    def forget(self) -> None:
        """Nothing is owed any more."""
        self.lost = self.uncertain = self.steps = 0
        self.step: int | None = None

    def settle(self) -> Owed:
        """Return what is owed, and owe it no more: it travels in the batch that is made now."""
        owed = Owed(self.lost, self.uncertain, self.steps, self.step)
        self.forget()
        return owed

    def owe(self, owed: Owed) -> None:
        """Owe so much more; a step is older than one that is owed already."""
        self.lost += owed.lost
        self.uncertain += owed.uncertain
        self.steps += owed.steps
        self.step = owed.step if self.step is None else self.step

    @property
    def owes(self) -> bool:
        """Whether a batch must be sent even if no values are left."""
        return bool(self.lost or self.uncertain or self.steps or self.step is not None)
