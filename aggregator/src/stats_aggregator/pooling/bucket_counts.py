"""Buckets of values: the numpy twin of `stats_aggregator_api.buckets`, for many series at once.

A bucket of a double is its top bits: sign, exponent and the first bits of the mantissa. An octave is what
shares sign and exponent.
"""

from __future__ import annotations

import numpy as np

from .segments import Floats, Ints, run_lengths, run_starts

NUM_OCTAVES = 1 << 12
_FRACTION_BITS = 52


def tops_of(values: Floats, mantissa_bits: int) -> Ints:
    """Return the top bits of each value."""
    tops: Ints = (values.view(np.uint64) >> np.uint64(_FRACTION_BITS - mantissa_bits)).view(np.int64)
    return tops


def zero_top(mantissa_bits: int) -> int:
    """Return what stands for zero, the top bits of NaN: its own are those of the least doubles too."""
    return (NUM_OCTAVES // 2 << mantissa_bits) - 1


def keys_of(tops: Ints, mantissa_bits: int) -> Ints:
    """Return the bucket's key for each of these top bits."""
    half = NUM_OCTAVES // 2 << mantissa_bits  # the first of the top bits is the sign
    keys = np.where(tops < half, tops + 1, half - 1 - tops)
    keys[tops == zero_top(mantissa_bits)] = 0
    return keys


def sorted_counts(series: Ints, lengths: Ints, values: Floats, mantissa_bits: int) -> tuple[Ints, Ints, Ints]:
    """Return series and key of every bucket that is hit, ascending by series, and how many values are in it.

    `values` are finite, in segments of these `lengths`; `series` says of each segment whose it is.
    """
    tops = tops_of(values, mantissa_bits)
    tops[values == 0.0] = zero_top(mantissa_bits)
    top_bits = NUM_OCTAVES.bit_length() - 1 + mantissa_bits
    both = np.sort((np.repeat(series, lengths) << top_bits) + tops)
    firsts = run_starts(both)
    hit = both[firsts]
    keys = keys_of(hit & ((1 << top_bits) - 1), mantissa_bits)
    return hit >> top_bits, keys, run_lengths(firsts, len(both))
