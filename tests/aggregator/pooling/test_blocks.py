"""Blocks: all values, in order, a bounded number at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from stats_aggregator.pooling.blocks import BLOCK_VALUES, blocks

SIZES = [0, 1, 5, BLOCK_VALUES - 1, BLOCK_VALUES, BLOCK_VALUES + 1, 3 * BLOCK_VALUES]


@example([0, BLOCK_VALUES + 1])
@example([BLOCK_VALUES, 0, BLOCK_VALUES + 1, 0])
@given(st.lists(st.sampled_from(SIZES), min_size=1, max_size=12).filter(any))
def test_blocks_hold_all_values_and_none_is_empty_or_longer_than_it_must_be(lengths):
    ends = np.cumsum(lengths)
    segment = value = 0
    for block in blocks(ends):
        assert (block.segments.start, block.values.start) == (segment, value)
        segment, value = block.segments.stop, block.values.stop
        own = lengths[block.segments]
        assert sum(own) == value - block.values.start > 0
        assert sum(own) <= BLOCK_VALUES or np.count_nonzero(own) == 1
    assert value == ends[-1]
    assert not any(lengths[segment:])
