"""Fold: values of one category as moments and buckets, where memory is too short for the values."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from .buckets import narrow
from .chunk import Name
from .moments import Moments

_OVERHEAD_BYTES = 900
"""What a fold costs in memory beside its columns: the record, five arrays' heads, a place in a queue."""
_NAME_BYTES = 8
_TALLIES, _FLOATS = 3, 8
_FRAME_HEAD_BYTES = 250
_PART_HEAD_BYTES = 210
"""How long a series is at most in a message, without its key and its buckets."""
_BUCKET_BYTES = 12


class Part(NamedTuple):
    """One series of a fold."""

    name: Name
    moments: Moments
    keys: array[int]
    counts: array[int]


class Fold(NamedTuple):
    """What a Chunk is, folded; compact, hence in columns over all series.

    `tallies` has num, num_nan and num_inf of each series, `floats` the other fields of its Moments, `ends`
    where its buckets end in `keys` and `counts`. Keys are ascending within a series and have `mantissa_bits`
    bits of mantissa. `late` is that of a Chunk.
    """

    arrival: int
    closing: int
    step: int | None
    steps: int
    first: int
    last: int
    mantissa_bits: int
    series: tuple[Name, ...]
    tallies: array[int]
    floats: array[float]
    ends: array[int]
    keys: array[int]
    counts: array[int]
    late: int = 0

    @property
    def num_values(self) -> int:
        """How many values were folded."""
        return sum(self.tallies)

    @property
    def cost_bytes(self) -> int:
        """What it takes of memory."""
        columns = (self.tallies, self.floats, self.ends, self.keys, self.counts)
        return (
            _OVERHEAD_BYTES
            + _NAME_BYTES * len(self.series)
            + sum(len(each) * each.itemsize for each in columns)
        )

    def part(self, index: int) -> Part:
        """Return the series at `index`."""
        begin, end = self.ends[index - 1] if index else 0, self.ends[index]
        moments = Moments(
            *self.tallies[_TALLIES * index : _TALLIES * (index + 1)],
            *self.floats[_FLOATS * index : _FLOATS * (index + 1)],
        )
        return Part(self.series[index], moments, self.keys[begin:end], self.counts[begin:end])

    def parts(self) -> Iterator[Part]:
        """Give all series in turn."""
        return map(self.part, range(len(self.series)))

    def part_bytes(self, index: int) -> int:
        """Return how long the series at `index` is in a message, at most."""
        key = self.series[index][0]
        buckets = self.ends[index] - (self.ends[index - 1] if index else 0)
        return _PART_HEAD_BYTES + len(key.encode()) + _BUCKET_BYTES * buckets

    def slice(self, begin: int, end: int) -> Fold:
        """Return the series from `begin` to `end` alone."""
        first, last = self.ends[begin - 1] if begin else 0, self.ends[end - 1]
        return self._replace(
            series=self.series[begin:end],
            tallies=self.tallies[_TALLIES * begin : _TALLIES * end],
            floats=self.floats[_FLOATS * begin : _FLOATS * end],
            ends=narrow([bucket - first for bucket in self.ends[begin:end]]),
            keys=self.keys[first:last],
            counts=self.counts[first:last],
        )

    def cut(self, bytes_less: int) -> tuple[Fold, Fold | None]:
        """Return so many of the first series that the others take about `bytes_less` less, and the others."""
        count = min(bytes_less * len(self.series) // self.cost_bytes + 1, len(self.series))
        return _parted(self, count)


class FoldMaker:
    """Takes series one by one and makes a fold of them."""

    def __init__(self) -> None:
        self._series: list[Name] = []
        self._tallies: list[int] = []
        self._floats: array[float] = array("d")
        self._ends: list[int] = []
        self._keys: array[int] = array("i")
        self._counts: list[int] = []

    def add(self, name: Name, moments: Moments, buckets: dict[int, int]) -> None:
        """Take one more series; `buckets` has a count for each key."""
        self._series.append(name)
        self._tallies += (moments.num, moments.num_nan, moments.num_inf)
        self._floats.extend(moments[_TALLIES:])
        keys = sorted(buckets)
        self._keys.extend(keys)
        self._counts += [buckets[key] for key in keys]
        self._ends.append(len(self._keys))

    def fold(self, like: Fold, known_series: tuple[Name, ...]) -> Fold:
        """Return the fold of all that was taken, the rest as `like` has it."""
        series = tuple(self._series)
        return like._replace(
            # Most folds are of the same series: they share one tuple.
            series=known_series if series == known_series else series,
            tallies=narrow(self._tallies),
            floats=self._floats[:],
            ends=narrow(self._ends),
            keys=self._keys[:],
            counts=narrow(self._counts),
        )


def split_fold(fold: Fold, limit_bytes: int) -> tuple[Fold, Fold | None]:
    """Return as many of the first series as a message of `limit_bytes` holds, at least one, and the others.

    The step stays with the last: it may close the period that all belong to. Where a key has two
    aggregations, they go apart: no message holds a key twice.
    """
    size, taken, held = _FRAME_HEAD_BYTES, 0, set[str]()
    for index, (key, _) in enumerate(fold.series):
        size += fold.part_bytes(index)
        if key in held or (index and size > limit_bytes):
            break
        held.add(key)
        taken = index + 1
    return _parted(fold, taken)


def _parted(fold: Fold, count: int) -> tuple[Fold, Fold | None]:
    if count == len(fold.series):
        return fold, None
    first, rest = fold.slice(0, count), fold.slice(count, len(fold.series))
    # It is counted for the period, not for a series: any of its messages may say it.
    late = min(fold.late, first.num_values)
    return first._replace(step=None, steps=0, late=late), rest._replace(late=fold.late - late)


def fold_bytes(fold: Fold) -> int:
    """Return at most how long a message with the first series alone is, without its category."""
    return _FRAME_HEAD_BYTES + fold.part_bytes(0)
