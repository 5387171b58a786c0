"""Retained values and what follows them past the cap; and what a group costs."""

from __future__ import annotations

import math
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling import joined, latest, moments, retained
from stats_aggregator.pooling.accumulators import Accumulator, Limits
from stats_aggregator.pooling.series import SeriesCache
from stats_aggregator_api import Buckets
from tests.aggregator.oracle import (
    AVERAGE,
    MOST_RECENT,
    WORKERS,
    accumulated,
    buckets_of,
    check_moments,
    moderate,
    pooled,
    summaries,
)


@pytest.mark.parametrize("cap", [1, 7, 100])
def test_a_series_past_the_cap_goes_into_buckets_and_its_neighbour_stays_exact(cap):
    rng = np.random.default_rng(1)
    columns = [rng.normal(3, 50, 5).tolist() for _ in range(60)]
    batches = [
        (WORKERS[0].record("c", [("big", AVERAGE, column), ("small", AVERAGE, column[:1])], 1), "w0")
        for column in columns
    ]
    found = summaries(accumulated(batches, range(0, 60, 4), cap))
    values = [value for column in columns for value in column]
    assert (found["big"].exact, len(found["big"].full_dist)) == (False, 0)
    assert buckets_of(found["big"]) == Buckets.of(values)
    check_moments(found["big"], values)
    assert found["small"].exact is (cap >= 60)
    for q in (0, 0.1, 5, 25, 50, 75, 99.9, 100):
        right = float(np.percentile(values, q, method="inverted_cdf"))
        assert found["big"].percentile(q) == pytest.approx(right, rel=1 / 256)


@settings(max_examples=60, deadline=None)
@given(st.lists(moderate, min_size=1, max_size=60), st.floats(0, 100))
def test_percentiles_are_nearest_rank_while_exact_and_near_it_when_not(values, q):
    right = float(np.percentile(values, q, method="inverted_cdf"))
    assert pooled([values]).percentile(q) == right
    bucketed = pooled([values], retain_values=len(values) - 1 or 1)
    assert bucketed.percentile(q) == pytest.approx(right, rel=1 / 256, abs=0.0)


def test_many_small_groups_keep_every_value_in_order():
    columns = [[float(at), -float(at)] for at in range(1300)]
    assert tuple(pooled(columns, 10_000).full_dist) == tuple(value for column in columns for value in column)


def lines_run(files: set[str], work: Any) -> int:
    """Return how many lines of `files` Python runs in `work()`."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def cost(batches: int, keys: int, values: int, files: set[str], spoiled: bool) -> int:
    """Return the lines run for a group of known keys, in the steady state."""
    columns = [(f"k{at}", AVERAGE if at % 5 else MOST_RECENT, [1.0 * at] * values) for at in range(keys)]
    if spoiled:
        columns[-1][2][-1] = math.nan
    group = [(worker.record("c", columns, 1), worker.name) for worker in WORKERS for _ in range(batches)]
    accumulator = Accumulator(Limits(10_000_000, 1000), SeriesCache())
    accumulator.add(group)
    accumulator.take_oddities()
    return lines_run(files, lambda: accumulator.add(group))


@pytest.mark.parametrize("spoiled", [False, True])
def test_a_group_costs_the_same_python_for_any_number_of_keys_and_values(spoiled):
    # Only what makes the Parts looks at single batches; nothing looks at single keys or values.
    pooling = {module.__file__ for module in (moments, retained, latest)}
    few, many = cost(2, 5, 1, pooling, spoiled), cost(20, 100, 1, pooling, spoiled)
    assert few == many
    # As many values as are a chunk of their own.
    more, most = cost(40, 200, 7, pooling, spoiled), cost(50, 400, 14, pooling, spoiled)
    assert more == most
    everything = pooling | {joined.__file__, Accumulator.__init__.__code__.co_filename}
    assert cost(3, 5, 2, everything, spoiled) == cost(3, 100, 7, everything, spoiled)


def test_what_a_full_series_had_kept_is_sorted_out_in_pieces_and_none_is_lost():
    rng = np.random.default_rng(2)
    groups = [
        [("big", AVERAGE, rng.normal(size=3000).tolist()), ("small", AVERAGE, [float(at)])]
        for at in range(32)
    ]
    accumulator = Accumulator(Limits(90_000, 1000), SeriesCache())
    for at, columns in enumerate(groups):
        accumulator.add([(WORKERS[0].record("c", columns, at + 1), "w0")])
    # Past the cap; of what was kept no more was looked at than a few times what came since.
    loaded = Accumulator.load(accumulator.dump(), SeriesCache())
    for found in (summaries(accumulator), summaries(loaded)):
        assert not found["big"].exact
        assert buckets_of(found["big"]) == Buckets.of(value for columns in groups for value in columns[0][2])
        assert tuple(found["small"].full_dist) == tuple(float(at) for at in range(32))


def test_a_series_of_nan_alone_beside_a_long_one_is_counted_past_the_cap():
    columns = [("a", AVERAGE, [1.0]), ("b", AVERAGE, [2.0])]
    spoiled = [("a", AVERAGE, [math.nan]), ("b", AVERAGE, np.arange(40_000.0).tolist())]
    batches = [(WORKERS[0].record("c", each, 1), "w0") for each in (columns, columns, spoiled, spoiled)]
    found = summaries(accumulated(batches, range(1, 4), retain_values=1))
    assert (found["a"].num, found["a"].num_nan, found["b"].num) == (2, 2, 80_002)
    assert buckets_of(found["b"]) == Buckets.of([2.0] * 2 + 2 * np.arange(40_000.0).tolist())
