"""Retained: the values themselves, until a series has too many of them for its period.

Values stay in the chunks in which they came, and are split by series only when the period closes. A series
past `retain_values` fills buckets instead; so does what it had kept before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bucketing import SparseBuckets
from .joined import Floats, Ints, Joined

_FOLD_AT = 1 << 18
"""Bucketing sorts; thousands of values at a time make it cheap."""

_JOIN_AT = 512
"""Chunks are joined by so many: small groups would cost more in objects than in values."""

_KEEP, _BUCKETS, _NEITHER = 0, 1, 2


class Chunk:
    """Some segments: whose they are, how long, and their values in one column."""

    __slots__ = ("counts", "series", "values")

    def __init__(self, series: Ints, counts: Ints, values: Floats) -> None:
        self.series, self.counts, self.values = series, counts, values

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


class Retained:
    """The values of an open period's series, or their buckets."""

    def __init__(self, retain_values: int) -> None:
        self._retain_values = retain_values
        self._fate = np.zeros(64, dtype=np.int8)
        self._chunks: list[Chunk] = []
        self._single_chunks = 0
        self._kept_values = 0
        self._stale_values = 0
        self._waiting: list[Chunk] = []
        self._waiting_values = 0
        self.buckets = SparseBuckets()

    def grow(self, aggregated: NDArray[np.bool_]) -> None:
        """Make room; `aggregated` says of each series whether all its values matter, not the latest alone."""
        if len(aggregated) > len(self._fate):
            more = np.zeros(max(len(aggregated), 2 * len(self._fate)) - len(self._fate), dtype=np.int8)
            self._fate = np.concatenate([self._fate, more])
        ignored = np.flatnonzero(~aggregated)
        self._fate[ignored] = _NEITHER

    @property
    def nbytes(self) -> int:
        """Bytes of values held."""
        return 8 * (self._kept_values + self._waiting_values)

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
        full = rows[(num[rows] > self._retain_values) & (self._fate[rows] == _KEEP)]
        if len(full):
            self._fate[full] = _BUCKETS
            self._stale_values += int(num[full].sum())
            if 2 * self._stale_values > self._kept_values:
                self._sort_out()

    def _keep(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._kept_values += len(chunk.values)
        self._single_chunks += 1
        if self._single_chunks == _JOIN_AT:
            self._chunks[-_JOIN_AT:] = [Chunk.join(self._chunks[-_JOIN_AT:])]
            self._single_chunks = 0

    def _wait(self, chunk: Chunk) -> None:
        if not len(chunk.values):
            return
        self._waiting.append(chunk)
        self._waiting_values += len(chunk.values)
        if self._waiting_values >= _FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        Chunk.join(self._waiting).fill(self.buckets)
        self._waiting, self._waiting_values = [], 0

    def _sort_out(self) -> None:
        """Move what full series had kept into their buckets."""
        everything = Chunk.join(self._chunks)
        full = self._fate[everything.series] == _BUCKETS
        kept = everything.only(~full)
        self._chunks, self._kept_values, self._stale_values = [kept], len(kept.values), 0
        self._single_chunks = 0
        self._wait(everything.only(full))

    def close(self) -> Chunk:
        """Return the values of the series that kept all of theirs; `buckets` then holds every series."""
        self._sort_out()
        self._fold()
        kept = self._chunks[0]
        kept.fill(self.buckets)
        return kept
