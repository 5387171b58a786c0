"""BucketCounts: how many values lie in each bucket of stats_aggregator_api.buckets, made and merged fast.

The buckets are the api's to the last count; here they are compact, and made without a Python call a value.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import repeat
from operator import rshift
from typing import Any

from stats_aggregator_api.bucket import MANTISSA_BITS, coarser_key

from .numeric import numpy_for

_SHIFT = 52 - MANTISSA_BITS
_SIGN = 1 << (63 - _SHIFT)
_WIDEST_SPAN = 1 << 14


def count_buckets(values: array[float]) -> dict[int, int]:
    """Return how many of the finite `values` lie in each bucket, by its key."""
    tops = _top_bits(values)
    found = {(top & ~_SIGN) + 1 if top < _SIGN else -(top & ~_SIGN) - 1: num for top, num in tops.items()}
    if 1 in found or -1 in found:
        # Zero has a bucket of its own beside those of the smallest numbers.
        bits = array("Q", values.tobytes())
        for key, zero in ((1, 0), (-1, 1 << 63)):
            zeros = bits.count(zero) if key in found else 0
            if zeros:
                found[0] = found.get(0, 0) + zeros
                found[key] -= zeros
                if not found[key]:
                    del found[key]
    return found


def _top_bits(values: array[float]) -> Mapping[int, int]:
    numpy = numpy_for(len(values))
    if numpy is None:
        return Counter(map(rshift, array("Q", values.tobytes()), repeat(_SHIFT)))
    tops = (numpy.frombuffer(values, numpy.uint64) >> numpy.uint64(_SHIFT)).astype(numpy.int64)
    found: dict[int, int] = {}
    # Of one sign, ordinary values lie close together.
    for side in (tops[tops < _SIGN], tops[tops >= _SIGN]):
        if len(side):
            found.update(_counted(numpy, side))
    return found


def _counted(numpy: Any, numbers: Any) -> Iterable[tuple[int, int]]:
    least = int(numbers.min())
    if int(numbers.max()) - least < _WIDEST_SPAN:
        counts = numpy.bincount(numbers - least)
        (held,) = counts.nonzero()
        return zip((held + least).tolist(), counts[held].tolist(), strict=True)
    held, counts = numpy.unique(numbers, return_counts=True)
    return zip(held.tolist(), counts.tolist(), strict=True)


def add_buckets(found: dict[int, int], keys: Iterable[int], counts: Iterable[int], dropped_bits: int) -> None:
    """Add counts to `found`, whose buckets have `dropped_bits` bits of mantissa fewer."""
    get = found.get
    for key, count in zip(keys, counts, strict=True):
        coarse = coarser_key(key, dropped_bits) if dropped_bits else key
        found[coarse] = get(coarse, 0) + count


def narrow(numbers: list[int]) -> array[int]:
    """Return the numbers, none negative, as an array of the least width that holds them."""
    most = max(numbers, default=0)
    code = next(code for code, bits in (("B", 8), ("H", 16), ("I", 32), ("Q", 64)) if most >> bits == 0)
    return array(code, numbers)


def little_endian(column: array[int] | array[float]) -> bytes:
    """Return the bytes of `column` as they travel."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()
