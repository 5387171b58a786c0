"""Retained: the values themselves, until a series has too many of them for its period.

Values stay in the chunks in which they came, and are split by series only when the period closes. A series
past `retain_values` fills buckets instead, and so does what it had kept before; the same happens to a series
of which a PARTIAL came, and to all series of a period that memory pressure folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bucketing import SparseBuckets
from .joined import Joined
from .joined_partials import JoinedPartials
from .segments import Floats, Ints

_FOLD_AT = 1 << 18
"""Bucketing sorts; thousands of values at a time make it cheap."""

_JOIN_AT = 512
"""Chunks are joined by so many: small groups would cost more in objects than in values."""

_SEGMENT_BYTES = 16
"""Series and length of a segment."""

_KEEP, _BUCKETS, _NEITHER = 0, 1, 2


class Chunk(NamedTuple):
    """Some segments: whose they are, how long, and their values in one column."""

    series: Ints
    counts: Ints
    values: Floats

    @classmethod
    def unpacked(cls, columns: Sequence[bytes]) -> Chunk:
        """Return a chunk of the bytes of its columns."""
        series, counts, values = columns
        return cls(np.frombuffer(series, np.int64), np.frombuffer(counts, np.int64), np.frombuffer(values))

    @classmethod
    def join(cls, chunks: list[Chunk]) -> Chunk:
        """Return all chunks as one."""
        if not chunks:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        return cls(
            np.concatenate([chunk.series for chunk in chunks]),
            np.concatenate([chunk.counts for chunk in chunks]),
            np.concatenate([chunk.values for chunk in chunks]),
        )

    def only(self, chosen: NDArray[np.bool_]) -> Chunk:
        """Return the chosen segments."""
        if chosen.all():
            return self
        return Chunk(self.series[chosen], self.counts[chosen], self.values[np.repeat(chosen, self.counts)])

    def fill(self, buckets: SparseBuckets) -> None:
        """Count the values in `buckets`."""
        buckets.add(np.repeat(self.series, self.counts), self.values)

    def grouped(self, size: int) -> tuple[Floats, Ints]:
        """Return the values by series, each in order of arrival, and where each of `size` series begins."""
        order = np.argsort(self.series, kind="stable")
        counts = self.counts[order]
        starts = (np.cumsum(self.counts) - self.counts)[order]
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(len(self.values))
        per_series = np.bincount(self.series, weights=self.counts, minlength=size).astype(np.int64)
        return self.values[places], np.concatenate([[0], np.cumsum(per_series)])


class Weight(NamedTuple):
    """About how much memory is taken: by buckets, and by values with what says whose they are."""

    buckets_bytes: int
    values_bytes: int


class Retained:
    """The values of an open period's series, or their buckets."""

    def __init__(self, retain_values: int) -> None:
        self._retain_values = retain_values
        self._first_fate = _KEEP
        self._fate = np.zeros(64, dtype=np.int8)
        self._chunks: list[Chunk] = []
        self._single_chunks = 0
        self._kept_values = 0
        self._stale_values = 0
        self._segments = 0
        self._waiting: list[Chunk] = []
        self._waiting_values = 0
        self.buckets = SparseBuckets()

    def grow(self, aggregated: NDArray[np.bool_]) -> None:
        """Make room; `aggregated` says of each series whether all its values matter, not the latest alone."""
        if len(aggregated) > len(self._fate):
            more = max(len(aggregated), 2 * len(self._fate)) - len(self._fate)
            self._fate = np.concatenate([self._fate, np.full(more, self._first_fate, dtype=np.int8)])
        ignored = np.flatnonzero(~aggregated)
        self._fate[ignored] = _NEITHER

    @property
    def weight(self) -> Weight:
        """What is held."""
        values = self._kept_values + self._waiting_values
        return Weight(self.buckets.nbytes, 8 * values + _SEGMENT_BYTES * self._segments)

    def add(self, joined: Joined, num: Ints) -> None:
        """Add a group's finite values; `num` is the count of each series with this group."""
        values = joined.values if joined.finite is None else joined.values[joined.finite]
        chunk = Chunk(joined.series, joined.num, values)
        fate = self._fate[joined.series]
        if fate.any():
            self._wait(chunk.only(fate == _BUCKETS))
            chunk = chunk.only(fate == _KEEP)
        if len(chunk.values):
            self._keep(chunk)
        rows = joined.touched
        self._give_up(rows[num[rows] > self._retain_values], num)

    def merge(self, joined: JoinedPartials, num: Ints) -> None:
        """Add the buckets of a group's PARTIALs; `num` is the count of each series before them."""
        self.buckets.coarsen(joined.mantissa_bits)
        series, keys, counts = joined.buckets(self.buckets.mantissa_bits)
        wanted = self._fate[series] != _NEITHER
        self.buckets.add_counts(series[wanted], keys[wanted], counts[wanted])
        self._give_up(joined.touched[joined.per_series(np.add, joined.num) > 0], num)

    def fold(self, mantissa_bits: int) -> None:
        """Put all values into buckets of at most `mantissa_bits`, and every further one too."""
        self._first_fate = _BUCKETS
        self._fate[self._fate == _KEEP] = _BUCKETS
        self._sort_out()
        self._fold()
        self.buckets.coarsen(mantissa_bits)

    def _give_up(self, rows: Ints, num: Ints) -> None:
        """Keep the values of these series no longer, of which so many were kept."""
        full = rows[self._fate[rows] == _KEEP]
        if len(full):
            self._fate[full] = _BUCKETS
            self._stale_values += int(num[full].sum())
            if 2 * self._stale_values > self._kept_values:
                self._sort_out()

    def _keep(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._kept_values += len(chunk.values)
        self._segments += len(chunk.counts)
        self._single_chunks += 1
        if self._single_chunks == _JOIN_AT:
            self._chunks[-_JOIN_AT:] = [Chunk.join(self._chunks[-_JOIN_AT:])]
            self._single_chunks = 0

    def _wait(self, chunk: Chunk) -> None:
        if not len(chunk.values):
            return
        self._waiting.append(chunk)
        self._waiting_values += len(chunk.values)
        self._segments += len(chunk.counts)
        if self._waiting_values >= _FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        waiting = Chunk.join(self._waiting)
        self._segments -= len(waiting.counts)
        waiting.fill(self.buckets)
        self._waiting, self._waiting_values = [], 0

    def _sort_out(self) -> None:
        """Move what full series had kept into their buckets."""
        everything = Chunk.join(self._chunks)
        full = self._fate[everything.series] == _BUCKETS
        kept = everything.only(~full)
        self._chunks, self._kept_values, self._stale_values = [kept], len(kept.values), 0
        self._single_chunks = 0
        self._segments -= len(everything.counts) - len(kept.counts)
        self._wait(everything.only(full))

    def close(self) -> Chunk:
        """Return the values of the series that kept all of theirs; `buckets` then holds every series."""
        self._sort_out()
        self._fold()
        kept = self._chunks[0]
        kept.fill(self.buckets)
        return kept

    def dump(self) -> list[Any]:
        """Return all of it in plain types, for `load`."""
        kept, waiting = Chunk.join(self._chunks), Chunk.join(self._waiting)
        columns = (*kept, *waiting, self._fate, self.buckets.codes, self.buckets.counts)
        numbers = (self._retain_values, self._first_fate, self._stale_values, self.buckets.mantissa_bits)
        return [*numbers, *(column.tobytes() for column in columns)]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take over what another one dumped."""
        self._retain_values, self._first_fate, self._stale_values, bits, *packed = dumped
        kept, waiting = Chunk.unpacked(packed[0:3]), Chunk.unpacked(packed[3:6])
        self._chunks, self._kept_values = [kept], len(kept.values)
        self._waiting, self._waiting_values = [waiting], len(waiting.values)
        self._segments = len(kept.counts) + len(waiting.counts)
        self._fate = np.frombuffer(packed[6], dtype=np.int8).copy()
        self.buckets.mantissa_bits = bits
        self.buckets.codes = np.frombuffer(packed[7], dtype=np.int64)
        self.buckets.counts = np.frombuffer(packed[8], dtype=np.int64)
