"""Chunk: some segments of values, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bucketing import Buckets
from .segments import Floats, Ints, places_of


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
        if len(chunks) == 1:
            return chunks[0]
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

    def fill(self, buckets: Buckets) -> None:
        """Count the values in `buckets`."""
        buckets.add(self.series, self.counts, self.values)

    def grouped(self, size: int) -> tuple[Floats, Ints]:
        """Return the values by series, each in order of arrival, and where each of `size` series begins."""
        places = places_of(self.counts, np.argsort(self.series, kind="stable"))
        per_series = np.bincount(self.series, weights=self.counts, minlength=size).astype(np.int64)
        return self.values[places], np.concatenate([[0], np.cumsum(per_series)])
