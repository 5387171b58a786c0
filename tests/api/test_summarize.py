"""summarize: equal to exact rational arithmetic."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_api.testing import summarize

offsets = st.sampled_from([0.0, 1e8, -1e8, 1e15])
columns = st.builds(
    lambda offset, values: [offset + value for value in values],
    offsets,
    st.lists(st.floats(-10, 10), min_size=1, max_size=50),
)


@given(columns)
def test_moments_are_those_of_exact_arithmetic(values):
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    summary = summarize(values)
    assert summary.num == len(values)
    assert summary.sum == float(sum(exact))
    assert summary.mean == pytest.approx(float(mean), rel=1e-15)
    # What subtracting the origin rounds away is an ulp of the value.
    assert summary.std == pytest.approx(math.sqrt(variance), rel=1e-12, abs=math.ulp(max(map(abs, values))))
    assert (summary.min, summary.max, summary.last) == (min(values), max(values), values[-1])
    assert summary.full_dist == tuple(values)


def test_values_that_are_not_finite_are_counted_apart():
    summary = summarize([math.nan, 1.0, math.inf, 3.0, -math.inf])
    assert (summary.num, summary.num_nan, summary.num_inf) == (2, 1, 2)
    assert (summary.mean, summary.sum, summary.last) == (2.0, 4.0, 3.0)


def test_without_finite_values_all_but_the_sum_is_nan():
    summary = summarize([math.nan])
    assert (summary.num, summary.sum) == (0, 0.0)
    assert all(map(math.isnan, (summary.mean, summary.std, summary.min, summary.max, summary.last)))


def test_the_extremes_name_who_sent_them_first():
    summary = summarize([2.0, 1.0, 2.0, 1.0], workers=["a", "b", "c", "d"])
    assert (summary.min_worker, summary.max_worker) == ("b", "a")


def test_most_recent_pools_the_latest_value_of_each_worker():
    summary = summarize(
        [1.0, 2.0, 5.0, 3.0], StatsAggregationMethod.MOST_RECENT, workers=["a", "b", "a", "b"]
    )
    assert (summary.num, summary.sum, summary.last) == (2, 8.0, 3.0)
    assert summary.full_dist == (5.0, 3.0)


def test_past_the_retained_values_there_are_buckets_alone():
    summary = summarize([1.0, 2.0], exact=False)
    assert len(summary.full_dist) == 0
    assert sum(summary.buckets.counts) == summary.num == 2


def test_workers_must_be_as_many_as_values():
    with pytest.raises(ValueError, match="1 names for 2 values"):
        summarize([1.0, 2.0], workers=["a"])
