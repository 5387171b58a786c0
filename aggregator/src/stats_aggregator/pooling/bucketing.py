"""Bucketing by columns: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A code is a series' column and a bucket's key in one int64 that sorts by series, then by value.
"""

from __future__ import annotations

import numpy as np

from .joined import Floats, Ints

_FRACTION_BITS = 52
_KEY_BITS = 20
_KEY_OFFSET = 1 << (_KEY_BITS - 1)
_DENSE_BINS_PER_VALUE = 8
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def bucket_keys(values: Floats, mantissa_bits: int = 7) -> Ints:
    """Return the bucket's key of each value; all are finite."""
    bits = values.view(np.int64)
    top = (bits & _MAGNITUDE) >> (_FRACTION_BITS - mantissa_bits)
    keys = np.where(bits < 0, -1 - top, top + 1)
    keys[values == 0.0] = 0
    return keys


class SparseBuckets:
    """Counts of values by code, ascending; merging is adding counts."""

    def __init__(self) -> None:
        self.codes: Ints = np.empty(0, dtype=np.int64)
        self.counts: Ints = np.empty(0, dtype=np.int64)

    def add(self, series: Ints, values: Floats) -> None:
        """Count each of `values`, all finite, in its bucket; `series` says of each whose it is."""
        if len(values):
            self.merge(*_counted(series, bucket_keys(values) + _KEY_OFFSET))

    def merge(self, codes: Ints, counts: Ints) -> None:
        """Add the counts of other buckets."""
        if not len(self.codes):
            self.codes, self.counts = codes, counts
            return
        codes = np.concatenate([self.codes, codes])
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        firsts = _firsts(codes)
        self.codes = codes[firsts]
        self.counts = np.add.reduceat(np.concatenate([self.counts, counts])[order], firsts)

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


def _firsts(codes: Ints) -> Ints:
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
