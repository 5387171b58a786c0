"""Bucketing by columns: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A code is a series' column and a bucket's key in one int64 that sorts by series, then by value.
"""

from __future__ import annotations

import numpy as np

from stats_aggregator_api.buckets import MANTISSA_BITS

from .bucket_counts import count_in_buckets
from .segments import Floats, Ints, run_starts

_KEY_BITS = 20
_KEY_OFFSET = 1 << (_KEY_BITS - 1)


def coarser_keys(keys: Ints, dropped_bits: int) -> Ints:
    """Return the keys of the buckets with so many fewer bits of mantissa that contain these."""
    if not dropped_bits:
        return keys
    coarser: Ints = np.sign(keys) * (((np.abs(keys) - 1) >> dropped_bits) + 1)
    return coarser


class SparseBuckets:
    """Counts of values by code, ascending; merging is adding counts."""

    def __init__(self) -> None:
        self.mantissa_bits = MANTISSA_BITS
        self.codes: Ints = np.empty(0, dtype=np.int64)
        self.counts: Ints = np.empty(0, dtype=np.int64)

    def add(self, series: Ints, lengths: Ints, values: Floats) -> None:
        """Count each of `values`, all finite, in its bucket; they are in segments of these lengths."""
        if len(values):
            owners, keys, counts = count_in_buckets(series, lengths, values, self.mantissa_bits)
            self._merge((owners << _KEY_BITS) + keys + _KEY_OFFSET, counts)

    def add_counts(self, series: Ints, keys: Ints, counts: Ints) -> None:
        """Add the counts of other buckets, of as many bits of mantissa, in any order."""
        if len(keys):
            self._merge(*_summed((series << _KEY_BITS) + keys + _KEY_OFFSET, counts))

    def coarsen(self, mantissa_bits: int) -> None:
        """Keep no more than `mantissa_bits` from now on."""
        dropped_bits = self.mantissa_bits - mantissa_bits
        if dropped_bits <= 0:
            return
        self.mantissa_bits = mantissa_bits
        if len(self.codes):
            series = self.codes >> _KEY_BITS
            keys = coarser_keys((self.codes & ((1 << _KEY_BITS) - 1)) - _KEY_OFFSET, dropped_bits)
            self.codes, self.counts = _summed((series << _KEY_BITS) + keys + _KEY_OFFSET, self.counts)

    @property
    def nbytes(self) -> int:
        """Bytes of codes and counts held."""
        return self.codes.nbytes + self.counts.nbytes

    def _merge(self, codes: Ints, counts: Ints) -> None:
        if not len(self.codes):
            self.codes, self.counts = codes, counts
            return
        codes, counts = np.concatenate([self.codes, codes]), np.concatenate([self.counts, counts])
        self.codes, self.counts = _summed(codes, counts)

    def of_series(self, size: int) -> tuple[Ints, Ints]:
        """Return all keys, and where each of `size` series begins and the last one ends among them."""
        limits = np.searchsorted(self.codes, np.arange(size + 1) << _KEY_BITS)
        return (self.codes & ((1 << _KEY_BITS) - 1)) - _KEY_OFFSET, limits


def _summed(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return each code once, ascending, with the sum of its counts."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    firsts = run_starts(codes)
    return codes[firsts], np.add.reduceat(counts[order], firsts)
