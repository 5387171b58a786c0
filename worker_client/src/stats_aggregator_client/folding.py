"""Folding: chunks become folds, folds join, and folds get coarser; a piece at a time.

Each is a generator that yields after about a thousandth of a second of work, so that who folds can let others
run, and returns what it made.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Generator

from stats_aggregator_api.bucket import MANTISSA_BITS

from .buckets import add_buckets, count_buckets
from .chunk import VALUE_BYTES, Chunk, join
from .fold import Fold, FoldMaker, Part
from .moments import NOTHING, Moments, moments_of

Work = Generator[None, None, "Chunk | Fold"]

_PIECE_VALUES = 2048
"""So many values are folded without a pause."""
_SERIES_WORK = 64
"""A series costs as much as so many values, whatever it holds."""
_LEAST_VALUES = 32
"""With fewer values a series, a fold takes no less memory than they do."""


def worth_folding(chunk: Chunk) -> bool:
    """Whether a fold of the chunk takes less memory."""
    return len(chunk.values) >= _LEAST_VALUES * VALUE_BYTES * max(len(chunk.series), 1)


def pooled(values: array[float]) -> tuple[Moments, dict[int, int]]:
    """Return the moments and the bucket counts of any `values`."""
    moments = moments_of(values)
    if moments is not None:
        return moments, count_buckets(values)
    finite = array("d", filter(math.isfinite, values))
    num_nan = sum(map(math.isnan, values))
    moments = moments_of(finite, finite=True) or NOTHING if finite else NOTHING
    moments = moments._replace(num_nan=num_nan, num_inf=len(values) - len(finite) - num_nan)
    return moments, count_buckets(finite) if finite else {}


def fold_chunk(chunk: Chunk) -> Generator[None, None, Fold]:
    """Fold the values of a chunk."""
    made, pause = FoldMaker(), _Pause()
    data, begin = memoryview(chunk.values), 0
    for name, count in zip(chunk.series, chunk.counts, strict=True):
        moments, buckets = NOTHING, dict[int, int]()
        for first in range(begin, begin + count, _PIECE_VALUES):
            last = min(first + _PIECE_VALUES, begin + count)
            values = array("d")
            values.frombytes(data[first * VALUE_BYTES : last * VALUE_BYTES])
            more, tally = pooled(values)
            moments = moments.merge(more)
            if buckets:
                add_buckets(buckets, tally.keys(), tally.values(), 0)
            else:
                buckets = tally
            if pause.due(last - first):
                yield
        begin += count
        made.add(name, moments, buckets)
        if pause.due(_SERIES_WORK):
            yield
    nothing: array[int] = array("B")
    head = (*chunk[:6], MANTISSA_BITS)
    like = Fold(*head, (), nothing, array("d"), nothing, array("i"), nothing, chunk.late)
    return made.fold(like, chunk.series)


def join_items(left: Chunk | Fold, right: Chunk | Fold) -> Work:
    """Join neighbours of one closing: the later step holds, increments add up."""
    steps = left.steps + right.steps
    step = left.step if right.step is None else right.step
    if isinstance(left, Chunk) and isinstance(right, Chunk):
        joined = join([left, right])
        if joined is not None:
            joined = joined._replace(step=step, steps=steps)
            return (yield from fold_chunk(joined)) if worth_folding(joined) else joined
    first = left if isinstance(left, Fold) else (yield from fold_chunk(left))
    second = right if isinstance(right, Fold) else (yield from fold_chunk(right))
    both = yield from _merge(first, second)
    return both._replace(step=step, steps=steps)


def coarsen(fold: Fold, mantissa_bits: int) -> Generator[None, None, Fold]:
    """Drop bits of mantissa of all buckets until `mantissa_bits` are left."""
    made, pause = FoldMaker(), _Pause()
    for part in fold.parts():
        made.add(part.name, part.moments, _buckets(part, fold.mantissa_bits - mantissa_bits))
        if pause.due(_SERIES_WORK + len(part.keys)):
            yield
    return made.fold(fold._replace(mantissa_bits=mantissa_bits), fold.series)


def finished(work: Generator[None, None, Fold]) -> Fold:
    """Return what `work` makes, at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # a generator's result is not typed here


def _merge(left: Fold, right: Fold) -> Generator[None, None, Fold]:
    bits = min(left.mantissa_bits, right.mantissa_bits)
    made, pause = FoldMaker(), _Pause()
    places = {name: index for index, name in enumerate(right.series)}
    for part in left.parts():
        index = places.pop(part.name, None)
        buckets = _buckets(part, left.mantissa_bits - bits)
        moments, work = part.moments, len(part.keys)
        if index is not None:
            later = right.part(index)
            moments = moments.merge(later.moments)
            add_buckets(buckets, later.keys, later.counts, right.mantissa_bits - bits)
            work += len(later.keys)
        made.add(part.name, moments, buckets)
        if pause.due(_SERIES_WORK + work):
            yield
    for index in places.values():
        part = right.part(index)
        made.add(part.name, part.moments, _buckets(part, right.mantissa_bits - bits))
        if pause.due(_SERIES_WORK + len(part.keys)):
            yield
    like = right._replace(
        arrival=left.arrival, first=left.first, mantissa_bits=bits, late=left.late + right.late
    )
    return made.fold(like, left.series)


def _buckets(part: Part, dropped_bits: int) -> dict[int, int]:
    if not dropped_bits:
        return dict(zip(part.keys, part.counts, strict=True))
    found: dict[int, int] = {}
    add_buckets(found, part.keys, part.counts, dropped_bits)
    return found


class _Pause:
    """Says when enough was done at once."""

    def __init__(self) -> None:
        self._done = 0

    def due(self, work: int) -> bool:
        self._done += work
        if self._done < _PIECE_VALUES:
            return False
        self._done = 0
        return True
