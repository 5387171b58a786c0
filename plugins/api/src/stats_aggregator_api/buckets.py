"""Buckets: the distribution of any number of doubles in little memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .bucket import MANTISSA_BITS, bucket_key, bucket_middle, coarser_key


@dataclass(frozen=True, slots=True)
class Buckets:
    """The distribution of a series: keys in ascending order, and how many values each bucket holds."""

    keys: Sequence[int] = ()
    counts: Sequence[int] = ()
    mantissa_bits: int = MANTISSA_BITS

    @classmethod
    def of(cls, values: Iterable[float], mantissa_bits: int = MANTISSA_BITS) -> Buckets:
        """Return the buckets of `values`; what is not finite is left out."""
        found: dict[int, int] = {}
        for value in values:
            if math.isfinite(value):
                key = bucket_key(value, mantissa_bits)
                found[key] = found.get(key, 0) + 1
        keys = sorted(found)
        return cls(tuple(keys), tuple(found[key] for key in keys), mantissa_bits)

    def merge(self, other: Buckets) -> Buckets:
        """Return the buckets of both sets of values, as fine as the coarser of the two."""
        bits = min(self.mantissa_bits, other.mantissa_bits)
        found: dict[int, int] = {}
        for part in (self, other):
            for key, count in zip(part.keys, part.counts, strict=True):
                coarse = coarser_key(key, part.mantissa_bits - bits)
                found[coarse] = found.get(coarse, 0) + count
        keys = sorted(found)
        return Buckets(tuple(keys), tuple(found[key] for key in keys), bits)

    def value_at(self, index: int) -> float:
        """Return the middle of the bucket of the value at `index` when all values are in ascending order."""
        seen = 0
        for key, count in zip(self.keys, self.counts, strict=True):
            seen += count
            if index < seen:
                return bucket_middle(key, self.mantissa_bits)
        raise IndexError(f"index {index} is past the {seen} values in these buckets")
