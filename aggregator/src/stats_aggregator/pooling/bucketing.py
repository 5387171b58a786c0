"""Bucketing by columns: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A code is a series' column and a bucket's key in one int64 that sorts by series, then by value.
"""

from __future__ import annotations

import numpy as np

from stats_aggregator_api.buckets import MANTISSA_BITS

from .segments import Floats, Ints

_FRACTION_BITS = 52
_KEY_BITS = 20
_KEY_OFFSET = 1 << (_KEY_BITS - 1)
_DENSE_BINS_PER_VALUE = 8
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def bucket_keys(values: Floats, mantissa_bits: int = MANTISSA_BITS) -> Ints:
    """Return the bucket's key of each value; all are finite."""
    bits = values.view(np.int64)
    top = (bits & _MAGNITUDE) >> (_FRACTION_BITS - mantissa_bits)
    keys = np.where(bits < 0, -1 - top, top + 1)
    keys[values == 0.0] = 0
    return keys


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

    def add(self, series: Ints, values: Floats) -> None:
        """Count each of `values`, all finite, in its bucket; `series` says of each whose it is."""
        if len(values):
            self._merge(*_counted(series, bucket_keys(values, self.mantissa_bits) + _KEY_OFFSET))

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


def _counted(series: Ints, places: Ints) -> tuple[Ints, Ints]:
    """Return the codes of (series, place of the key), ascending, and how often each stands there."""
    used = np.zeros(1 << _KEY_BITS, dtype=np.bool_)
    used[places] = True
    used_places = np.flatnonzero(used)
    width, height = len(used_places), int(series.max()) + 1
    if width * height > _DENSE_BINS_PER_VALUE * len(places):
        codes = np.sort((series << _KEY_BITS) + places)
        firsts = _firsts(codes)
        return codes[firsts], np.diff(firsts, append=len(codes))
    # Few series and few buckets, the common case: counting in a table is ten times faster than sorting.
    column_of = np.empty(1 << _KEY_BITS, dtype=np.int64)
    column_of[used_places] = np.arange(width)
    table = np.bincount(series * width + column_of[places], minlength=width * height)
    hit = np.flatnonzero(table)
    return ((hit // width) << _KEY_BITS) + used_places[hit % width], table[hit]


def _summed(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return each code once, ascending, with the sum of its counts."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    firsts = _firsts(codes)
    return codes[firsts], np.add.reduceat(counts[order], firsts)


def _firsts(codes: Ints) -> Ints:
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
