"""Bucketing by columns: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A code is a series' column and a bucket's key in one int64 that sorts by series, then by value.
"""

from __future__ import annotations

import numpy as np

from stats_aggregator_api.bucket import MANTISSA_BITS

from .blocks import blocks
from .bucket_counts import sorted_counts
from .bucket_table import BucketTable
from .segments import Floats, Ints, places_of, run_starts

_KEY_BITS = 20
_KEY_OFFSET = 1 << (_KEY_BITS - 1)
_MOST_CELLS = 1 << 21
"""A larger table is no faster than sorting, and the engine would wait while it grows."""
_CELLS_PER_VALUE = 8
"""A table of more cells for some values alone costs more than sorting these."""
_TABLE_AT, _SORT_AT = 1 << 15, 1 << 18
"""So many values at a time are cheap to count, in the table and by sorting."""
_VALUES_PER_CODE = 4
"""Where there are many buckets more values are needed: merging what was sorted costs by the bucket."""


def coarser_keys(keys: Ints, dropped_bits: int) -> Ints:
    """Return the keys of the buckets with so many fewer bits of mantissa that contain these."""
    if not dropped_bits:
        return keys
    coarser: Ints = np.sign(keys) * (((np.abs(keys) - 1) >> dropped_bits) + 1)
    return coarser


class Buckets:
    """Counts of values by series and bucket; merging is adding counts.

    They are counted in a table while that is small and takes no more memory than what came, else by sorting.
    """

    def __init__(self) -> None:
        self.mantissa_bits = MANTISSA_BITS
        self._codes: Ints = np.empty(0, dtype=np.int64)
        self._counts: Ints = np.empty(0, dtype=np.int64)
        self._clear_table()

    def _clear_table(self) -> None:
        self._table = BucketTable(self.mantissa_bits)
        self._num_values = 0
        """How many have come since the table was empty."""
        self._fit = False
        """Whether all of the last values had room in it."""

    def add(self, series: Ints, lengths: Ints, values: Floats) -> None:
        """Count each of `values`, all finite, in its bucket; they are in segments of these lengths."""
        if not len(values):
            return
        self._num_values += len(values)
        most_cells = min(self._num_values, _MOST_CELLS)
        parts = [
            (series[block.segments], lengths[block.segments], values[block.values])
            for block in blocks(np.cumsum(lengths))
        ]
        left = [part for part in parts if not self._table.add(*part, most_cells)]
        self._fit = not left
        if left:
            series, lengths, values = (np.concatenate(column) for column in zip(*left, strict=True))
            self.add_counts(*self._counted(series, lengths, values))

    def _counted(self, series: Ints, lengths: Ints, values: Floats) -> tuple[Ints, Ints, Ints]:
        """Return series, key and count of the buckets of these values, in any order.

        By series there are few of them in a block, which mostly fit a small table for itself.
        """
        order = np.argsort(series, kind="stable")
        values = values[places_of(lengths, order)]
        series, lengths = series[order], lengths[order]
        found = []
        for block in blocks(np.cumsum(lengths)):
            part = series[block.segments], lengths[block.segments], values[block.values]
            table = BucketTable(self.mantissa_bits)
            is_small = table.add(*part, _CELLS_PER_VALUE * len(part[2]))
            found.append(table.counted() if is_small else sorted_counts(*part, self.mantissa_bits))
        owners, keys, counts = (np.concatenate(column) for column in zip(*found, strict=True))
        return owners, keys, counts

    @property
    def worth_adding(self) -> int:
        """How many values it takes for adding them to be cheap."""
        return _TABLE_AT if self._fit else max(_SORT_AT, _VALUES_PER_CODE * len(self._codes))

    def add_counts(self, series: Ints, keys: Ints, counts: Ints) -> None:
        """Add the counts of other buckets, of as many bits of mantissa, in any order."""
        if len(keys):
            codes = np.concatenate([self._codes, (series << _KEY_BITS) + keys + _KEY_OFFSET])
            self._codes, self._counts = _summed(codes, np.concatenate([self._counts, counts]))

    def _settle(self) -> None:
        """Move the counts of the table to the others."""
        if self._table.nbytes:
            self.add_counts(*self._table.counted())
            self._clear_table()

    def coarsen(self, mantissa_bits: int) -> None:
        """Keep no more than `mantissa_bits` from now on."""
        dropped_bits = self.mantissa_bits - mantissa_bits
        if dropped_bits <= 0:
            return
        codes, counts = self.codes, self.counts
        self.mantissa_bits = mantissa_bits
        self._clear_table()
        if len(codes):
            keys = coarser_keys((codes & ((1 << _KEY_BITS) - 1)) - _KEY_OFFSET, dropped_bits)
            self._codes, self._counts = _summed(
                (codes >> _KEY_BITS << _KEY_BITS) + keys + _KEY_OFFSET, counts
            )

    @property
    def codes(self) -> Ints:
        """The code of every bucket that is hit, ascending."""
        self._settle()
        return self._codes

    @property
    def counts(self) -> Ints:
        """How many values each of `codes` has."""
        self._settle()
        return self._counts

    @property
    def nbytes(self) -> int:
        """Bytes of codes and counts held."""
        return self._codes.nbytes + self._counts.nbytes + self._table.nbytes

    def load(self, mantissa_bits: int, codes: Ints, counts: Ints) -> None:
        """Take over what another one had."""
        self.mantissa_bits, self._codes, self._counts = mantissa_bits, codes, counts
        self._clear_table()

    def of_series(self, size: int) -> tuple[Ints, Ints]:
        """Return all keys, and where each of `size` series begins and the last one ends among them."""
        codes = self.codes
        limits = np.searchsorted(codes, np.arange(size + 1) << _KEY_BITS)
        return (codes & ((1 << _KEY_BITS) - 1)) - _KEY_OFFSET, limits


def _summed(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return each code once, ascending, with the sum of its counts."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    firsts = run_starts(codes)
    return codes[firsts], np.add.reduceat(counts[order], firsts)
