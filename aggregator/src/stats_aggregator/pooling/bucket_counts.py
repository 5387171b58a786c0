"""Counting values in buckets: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A bucket of a double is its top bits: sign, exponent and the first bits of the mantissa. Few of them occur in
what is measured, so values are counted in a table with a row a series and a column for each that occurs, in a
few passes over values that stay in the processor's cache. Only many series of few values are sorted instead.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .blocks import blocks
from .segments import Floats, Ints, run_starts

_EXPONENT_BITS, _FRACTION_BITS = 11, 52
_CELLS_PER_VALUE = 8
"""A table with more cells than this costs more than sorting."""


def count_in_buckets(
    series: Ints, lengths: Ints, values: Floats, mantissa_bits: int
) -> tuple[Ints, Ints, Ints]:
    """Return series and key of every bucket that is hit, ascending, and how many of `values` are in it.

    `values` are finite, in segments of these `lengths`; `series` says of each segment whose it is.
    """
    owners, rows = _distinct(series)
    parts = list(blocks(np.cumsum(lengths)))
    occurs = np.zeros(2 << (_EXPONENT_BITS + mantissa_bits), dtype=np.bool_)
    for part in parts:
        occurs[_tops(values[part.values], mantissa_bits)] = True
    keys, column_of = _columns(occurs, mantissa_bits)
    cells = (
        column_of[_tops(values[part.values], mantissa_bits)]
        + np.repeat(rows[part.segments] * len(keys), lengths[part.segments])
        for part in parts
    )
    hit, counts = _counted(cells, len(owners) * len(keys), len(values))
    return owners[hit // len(keys)], keys[hit % len(keys)], counts


def _distinct(series: Ints) -> tuple[Ints, Ints]:
    """Return which series there are, ascending, and the place of each segment's among them."""
    occurs = np.zeros(int(series.max()) + 1, dtype=np.bool_)
    occurs[series] = True
    owners = np.flatnonzero(occurs)
    place_of = np.empty(len(occurs), dtype=np.int64)
    place_of[owners] = np.arange(len(owners))
    return owners, place_of[series]


def _tops(values: Floats, mantissa_bits: int) -> Ints:
    """Return the top bits of each value: its place among all that there may be."""
    tops = (values.view(np.uint64) >> np.uint64(_FRACTION_BITS - mantissa_bits)).view(np.int64)
    is_zero = values == 0.0
    if is_zero.any():
        # Zero has a bucket of its own. Its top bits are those of the least doubles; those of NaN are free.
        tops[is_zero] = _zero(mantissa_bits)
    return tops


def _zero(mantissa_bits: int) -> int:
    return (1 << (_EXPONENT_BITS + mantissa_bits)) - 1


def _columns(occurs: NDArray[np.bool_], mantissa_bits: int) -> tuple[Ints, Ints]:
    """Return the keys of the buckets that occur, ascending, and for each of the top bits its place there."""
    places = np.flatnonzero(occurs)
    half = len(occurs) // 2
    # The first of the top bits is the sign.
    keys = np.where(places < half, places + 1, half - 1 - places)
    keys[places == _zero(mantissa_bits)] = 0
    order = np.argsort(keys)
    column_of = np.empty(len(occurs), dtype=np.int64)
    column_of[places[order]] = np.arange(len(places))
    return keys[order], column_of


def _counted(cells: Iterator[Ints], num_cells: int, num_values: int) -> tuple[Ints, Ints]:
    """Return each cell once, ascending, and how often it stands there."""
    if num_cells <= _CELLS_PER_VALUE * num_values:
        table = np.zeros(num_cells, dtype=np.int64)
        for some in cells:
            np.add.at(table, some, 1)
        hit = np.flatnonzero(table)
        return hit, table[hit]
    every = np.sort(np.concatenate(list(cells)))
    firsts = run_starts(every)
    return every[firsts], np.diff(firsts, append=len(every))
