"""Retained: the values themselves, until a series has too many of them for its period.

Values stay in the chunks in which they came, and are split by series only when the period closes. A series
past `retain_values` fills buckets instead, and so does what it had kept before; the same happens to a series
of which a PARTIAL came, and to all series of a period that memory pressure folds. What was kept before is
sorted out a few chunks at a time, so that no group has to wait for all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bucketing import Buckets
from .chunk import Chunk
from .joined import Joined
from .joined_partials import JoinedPartials
from .segments import Ints, grown

_JOIN_AT = 1 << 14
"""Chunks are joined to so many values: small groups would cost more in objects than in values."""
_SORTED_PER_VALUE = 4
"""So many kept values are looked at for each that comes."""
_SORTED_AT_ONCE = 1 << 20
"""So many of them when memory is short; the engine's other work waits for as long."""

_SEGMENT_BYTES = 16
"""Series and length of a segment."""

_KEEP, _BUCKETS, _NEITHER = 0, 1, 2


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
        self._chunks: deque[Chunk] = deque()
        """In order of arrival; `_sorted` come before them, and `_small` after."""
        self._sorted: deque[Chunk] = deque()
        self._small: list[Chunk] = []
        self._small_values = 0
        self._kept_values = 0
        self._stale_values = 0
        self._segments = 0
        self._waiting: list[Chunk] = []
        self._waiting_values = 0
        self.buckets = Buckets()

    def grow(self, aggregated: NDArray[np.bool_]) -> None:
        """Make room; `aggregated` says of each series whether all its values matter, not the latest alone."""
        self._fate = grown(self._fate, len(aggregated), self._first_fate)
        ignored = np.flatnonzero(~aggregated)
        self._fate[ignored] = _NEITHER

    @property
    def weight(self) -> Weight:
        """What is held; not what is on its way into buckets already."""
        values = self._kept_values - self._stale_values + self._waiting_values
        return Weight(self.buckets.nbytes, 8 * values + _SEGMENT_BYTES * self._segments)

    def add(self, joined: Joined, num: Ints) -> None:
        """Add a group's finite values; `num` is the count of each series with this group."""
        rows = joined.touched
        chunk = Chunk(rows, joined.added, joined.finite_values)
        fate = self._fate[rows]
        if fate.any():
            self._wait(chunk.only(fate == _BUCKETS))
            chunk = chunk.only(fate == _KEEP)
        if len(chunk.values):
            self._keep(chunk)
        self._give_up(rows[num[rows] > self._retain_values], num)
        self._sort_out(_SORTED_PER_VALUE * len(joined.values))

    def merge(self, joined: JoinedPartials, num: Ints) -> None:
        """Add the buckets of a group's PARTIALs; `num` is the count of each series before them."""
        self.buckets.coarsen(joined.mantissa_bits)
        series, keys, counts = joined.buckets(self.buckets.mantissa_bits)
        wanted = self._fate[series] != _NEITHER
        self.buckets.add_counts(series[wanted], keys[wanted], counts[wanted])
        self._give_up(joined.touched[joined.added > 0], num)
        self._sort_out(_SORTED_PER_VALUE * len(series))

    def fold(self, mantissa_bits: int) -> None:
        """Put all values into buckets of at most `mantissa_bits`, and every further one too."""
        self._first_fate = _BUCKETS
        self._fate[self._fate == _KEEP] = _BUCKETS
        self._stale_values = self._kept_values
        self._sort_out(_SORTED_AT_ONCE)
        self._fold()
        self.buckets.coarsen(mantissa_bits)

    def _give_up(self, rows: Ints, num: Ints) -> None:
        """Keep the values of these series no longer, of which so many were kept."""
        full = rows[self._fate[rows] == _KEEP]
        if len(full):
            self._fate[full] = _BUCKETS
            self._stale_values += int(num[full].sum())

    def _keep(self, chunk: Chunk) -> None:
        self._kept_values += len(chunk.values)
        self._segments += len(chunk.counts)
        self._small.append(chunk)
        self._small_values += len(chunk.values)
        if self._small_values >= _JOIN_AT:
            self._join_small()

    def _join_small(self) -> None:
        if self._small:
            self._chunks.append(Chunk.join(self._small))
            self._small, self._small_values = [], 0

    def _wait(self, chunk: Chunk) -> None:
        if not len(chunk.values):
            return
        self._waiting.append(chunk)
        self._waiting_values += len(chunk.values)
        self._segments += len(chunk.counts)
        if self._waiting_values >= self.buckets.worth_adding:
            self._fold()

    def _fold(self) -> None:
        waiting = Chunk.join(self._waiting)
        self._segments -= len(waiting.counts)
        waiting.fill(self.buckets)
        self._waiting, self._waiting_values = [], 0

    def _sort_out(self, values: int) -> None:
        """Look at about so many of the kept values, and move those of full series on into buckets."""
        if not self._sorted:
            if 2 * self._stale_values <= self._kept_values:
                return
            self._join_small()
        while self._chunks and values > 0:
            chunk = self._chunks.popleft()
            values -= len(chunk.values)
            is_stale = self._fate[chunk.series] == _BUCKETS
            if is_stale.any():
                self._sort(chunk, is_stale)
            else:
                self._sorted.append(chunk)
        if not self._chunks:
            self._chunks, self._sorted = self._sorted, self._chunks

    def _sort(self, chunk: Chunk, is_stale: NDArray[np.bool_]) -> None:
        stale, kept = chunk.only(is_stale), chunk.only(~is_stale)
        self._kept_values -= len(stale.values)
        self._stale_values -= len(stale.values)
        self._segments -= len(stale.counts)
        self._wait(stale)
        if len(kept.values):
            self._sorted.append(kept)

    def _kept(self) -> Chunk:
        return Chunk.join([*self._sorted, *self._chunks, *self._small])

    def close(self) -> Chunk:
        """Return the values of the series that kept all of theirs; `buckets` then holds every series."""
        everything = self._kept()
        is_stale = self._fate[everything.series] == _BUCKETS
        self._wait(everything.only(is_stale))
        self._fold()
        kept = everything.only(~is_stale)
        kept.fill(self.buckets)
        self._chunks, self._sorted, self._small = deque([kept]), deque(), []
        return kept

    def dump(self) -> list[Any]:
        """Return all of it in plain types, for `load`."""
        kept, waiting = self._kept(), Chunk.join(self._waiting)
        columns = (*kept, *waiting, self._fate, self.buckets.codes, self.buckets.counts)
        numbers = (self._retain_values, self._first_fate, self._stale_values, self.buckets.mantissa_bits)
        return [*numbers, *(column.tobytes() for column in columns)]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take over what another one dumped."""
        self._retain_values, self._first_fate, self._stale_values, bits, *packed = dumped
        kept, waiting = Chunk.unpacked(packed[0:3]), Chunk.unpacked(packed[3:6])
        self._chunks, self._kept_values = deque([kept]), len(kept.values)
        self._waiting, self._waiting_values = [waiting], len(waiting.values)
        self._segments = len(kept.counts) + len(waiting.counts)
        self._fate = np.frombuffer(packed[6], dtype=np.int8).copy()
        self.buckets.load(bits, *(np.frombuffer(column, dtype=np.int64) for column in packed[7:9]))
