"""Values that say who made them: all that a worker of the model ever adds is different from all else."""

from __future__ import annotations

# An odd factor permutes the integers below 2**32, so no two are the same, all buckets get some, and sums of
# a million of them are exact in a double.
_FACTOR, _MASK, _HALF = 2654435761, (1 << 32) - 1, 1 << 31


def value(worker: int, index: int) -> float:
    """Return the value number `index` of a worker."""
    return float(((worker << 16 | index) * _FACTOR & _MASK) - _HALF)
