"""Bucket: a range of doubles with a relative error, and what values and limits its key stands for.

A bucket is the top bits of a double: its exponent and the first `mantissa_bits` bits of its mantissa. So
every bucket is as wide as a fixed fraction of the values in it, all processes agree on the limits without
talking, and merging is adding counts: order, partition and tiers change nothing.

A bucket's key is an integer that orders like the values: 0 holds zero alone, m + 1 the positive doubles whose
top bits are m, -(m + 1) their negatives. NaN and infinities have no bucket.
"""

from __future__ import annotations

import math
import struct

MANTISSA_BITS = 7
"""Bits of mantissa kept unless memory is short: 7 bound the relative error by 1/256."""

_FRACTION_BITS = 52
_INFINITY_BITS = 0x7FF << _FRACTION_BITS
_LARGEST = math.nextafter(math.inf, 0.0)
_AS_DOUBLE = struct.Struct("<d")
_AS_BITS = struct.Struct("<Q")


def bucket_key(value: float, mantissa_bits: int = MANTISSA_BITS) -> int:
    """Return the key of the bucket that holds `value`, which is finite."""
    if value == 0.0:
        return 0
    (bits,) = _AS_BITS.unpack(_AS_DOUBLE.pack(abs(value)))
    key: int = (bits >> (_FRACTION_BITS - mantissa_bits)) + 1
    return key if value > 0.0 else -key


def coarser_key(key: int, dropped_bits: int) -> int:
    """Return the key of the bucket with `dropped_bits` fewer bits of mantissa that contains bucket `key`."""
    if key == 0:
        return 0
    coarser = ((abs(key) - 1) >> dropped_bits) + 1
    return coarser if key > 0 else -coarser


def bucket_limits(key: int, mantissa_bits: int = MANTISSA_BITS) -> tuple[float, float]:
    """Return the bucket's least and greatest edge; the edge nearer to zero belongs to it."""
    if key == 0:
        return 0.0, 0.0
    shift = _FRACTION_BITS - mantissa_bits
    near, far = ((abs(key) - 1) << shift), (abs(key) << shift)
    near_value = _AS_DOUBLE.unpack(_AS_BITS.pack(near))[0]
    far_value = _LARGEST if far >= _INFINITY_BITS else _AS_DOUBLE.unpack(_AS_BITS.pack(far))[0]
    return (near_value, far_value) if key > 0 else (-far_value, -near_value)


def bucket_middle(key: int, mantissa_bits: int = MANTISSA_BITS) -> float:
    """Return the value that stands for all values of the bucket."""
    low, high = bucket_limits(key, mantissa_bits)
    return low / 2 + high / 2


def relative_error(mantissa_bits: int = MANTISSA_BITS) -> float:
    """Return how far a value may be from its bucket's middle, relative to the value, for normal doubles."""
    return 2.0 ** -(mantissa_bits + 1)
