"""Blocks: segments in runs whose values, and what is worked out of them, stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .segments import Ints

BLOCK_VALUES = 1 << 15


class Block(NamedTuple):
    """Which segments, and which values, belong together."""

    segments: slice
    values: slice


def blocks(ends: Ints) -> Iterator[Block]:
    """Yield all segments in blocks; `ends` says where among the values each of them ends.

    A block has about 32,768 values, and never none; a segment that is longer is in one without others that
    have values.
    """
    total, first, begin = int(ends[-1]), 0, 0
    while begin < total:
        past = int(np.searchsorted(ends, begin + BLOCK_VALUES, "right"))
        past = max(past, int(np.searchsorted(ends, begin, "right")) + 1)  # past the next that has values
        end = int(ends[past - 1])
        yield Block(slice(first, past), slice(begin, end))
        first, begin = past, end
