"""An outbox on a bench: windows of ten seconds, a clock that tests turn, and random play with it."""

from __future__ import annotations

import random
from collections import Counter

from stats_aggregator_client.clock import Clock
from stats_aggregator_client.complaints import Complaints
from stats_aggregator_client.counts import Counts
from stats_aggregator_client.fold import Fold
from stats_aggregator_client.lane import Item, Note
from stats_aggregator_client.outbox import Outbox
from stats_aggregator_client.wire import Kind
from tests.worker_client.folds import Content, chunk, content

S = 1_000_000_000
MIB = 1 << 20


class Box:
    """An outbox with windows of ten seconds, and a clock that tests turn."""

    def __init__(self, buffer_bytes: int = MIB, windows: tuple[int, ...] | None = (10 * S,)) -> None:
        self.now_s = 0.0
        clock = Clock(monotonic_ns=lambda: int(self.now_s * S), wall_ns=lambda: 0)
        self.counts = Counts()
        self.out = Outbox(buffer_bytes, clock, self.counts, Complaints(), lambda: None)
        self.out.windows = windows

    def put(self, values: Content | list[float], category: str = "c", **fields: object) -> None:
        found = values if isinstance(values, dict) else {("k", 0): values}
        at_ns = int(self.now_s * S)
        made = chunk(found, arrival=self.out.arrival(), first=at_ns, last=at_ns, **fields)
        self.out.put(self.out.lane(category), made)

    def note(self, kind: Kind, step: int = 0, value: object = None, category: str = "c") -> None:
        made = Note(self.out.arrival(), kind, step, "hyperparameters", value)
        self.out.put(self.out.lane(category), made)

    def press(self, until_bytes: int = 0) -> None:
        """Be short of memory until what waits takes so little, or as little as can be."""
        self.out.unacked_bytes = 64 * MIB
        while self.out.unsent_bytes > until_bytes and self.out.relieve():
            pass
        self.out.unacked_bytes = 0

    def waiting(self, category: str = "c") -> list[Item]:
        return list(self.out.lane(category))

    def taken(self) -> list[Item]:
        found = []
        while (taken := self.out.take(MIB, MIB, alone=True)) is not None:
            found.append(taken[1])
        return found


class Play:
    """Does anything that may happen to an outbox, at random; a value is the number of rewinds before it."""

    def __init__(self, source: random.Random) -> None:
        self.box = Box()
        self.put: Counter[tuple[str, int, int]] = Counter()
        self.ended: Counter[tuple[str, int]] = Counter()
        """How many values each WRITE ends, by its step."""
        self.out: list[tuple[str, Item]] = []
        self.steps = self._written = self._rewinds = 0
        self._pending: Counter[str] = Counter()
        self._source = source

    def act(self, category: str) -> None:
        chances = {self._puts: 10, self._writes: 4, self._presses: 8, self._tells: 1, self._rewinds_all: 0.3}
        (action,) = self._source.choices([*chances, self._passes], [*chances.values(), 2])
        action(category)
        if self._source.random() < 0.1:
            self.takes(self._source.randrange(200, 20_000))

    def takes(self, bytes_most: int) -> bool:
        taken = self.box.out.take(bytes_most, bytes_most, alone=True)
        self.out += [(taken[0].category, taken[1])] if taken else []
        return taken is not None

    def _puts(self, category: str) -> None:
        moves = self._source.random() < 0.3
        for name in self._source.choices([("k", 0), ("k", 2), ("l", 0), ("m", 1)], k=3):
            count = self._source.randrange(1, 400)
            self.box.put({name: [float(self._rewinds)] * count}, category, steps=int(moves))
            self.put[category, self._rewinds, name[1]] += count
            self._pending[category] += count
            self.steps += moves

    def _writes(self, category: str) -> None:
        self._written += 1
        self.ended[category, self._written] = self._pending.pop(category, 0)
        self.box.note(Kind.WRITE, self._written, category=category)

    def _tells(self, category: str) -> None:
        self.box.note(Kind.PROPERTY, value=self._source.randrange(3), category=category)

    def _rewinds_all(self, _: str) -> None:
        self._rewinds += 1
        self._written += 1
        self._pending.clear()
        for category in ("c0", "c1"):
            self.box.note(Kind.REWIND, self._written, category=category)

    def _presses(self, _: str) -> None:
        self.box.out.unacked_bytes = MIB
        for _ in range(self._source.choice([3, 30, 300])):
            self.box.out.relieve()
        self.box.out.unacked_bytes = 0

    def _passes(self, _: str) -> None:
        self.box.now_s += self._source.randrange(1, 20)


def check_late(out: list[tuple[str, Item]], ended: Counter[tuple[str, int]]) -> int:
    """What a WRITE that was dropped would have ended is late, and nothing else; return how many values."""
    sent = {
        (category, item.step) for category, item in out if isinstance(item, Note) and item.kind is Kind.WRITE
    }
    late = Counter(dict.fromkeys((category for category, _ in out), 0))
    for category, item in out:
        if not isinstance(item, Note):
            assert item.late <= item.num_values
            assert isinstance(item, Fold) or not item.late, "a batch has no field for that"
            late[category] += item.late
    due = Counter(dict.fromkeys(late, 0))
    for (category, step), num in ended.items():
        due[category] += 0 if (category, step) in sent else num
    assert late == due
    return late.total()


def check_order(out: list[tuple[str, Item]], put: Counter[tuple[str, int, int]], steps: int) -> None:
    """Each value is the number of rewinds before it: what is joined over one would show."""
    found: Counter[tuple[str, int, int]] = Counter()
    for category in ("c0", "c1"):
        rewinds, last_step = 0, 0
        for item in (item for each, item in out if each == category):
            if isinstance(item, Note):
                rewinds += item.kind is Kind.REWIND
                assert item.kind is Kind.PROPERTY or item.step > last_step
                last_step = last_step if item.kind is Kind.PROPERTY else item.step
            elif isinstance(item, Fold):
                for part in item.parts():
                    assert part.moments.min == part.moments.max == part.moments.last == rewinds
                    found[category, rewinds, part.name[1]] += part.moments.num
            else:
                for name, values in content(item).items():
                    assert set(values) == {float(rewinds)}
                    found[category, rewinds, name[1]] += len(values)
    assert +found == +put
    assert sum(item.steps for _, item in out if not isinstance(item, Note)) == steps
