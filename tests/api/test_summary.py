"""StatSummary: frozen, with nearest-rank percentiles, exact or from buckets."""

import math
import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stats_aggregator_api import StatsAggregationMethod, StatSummary
from stats_aggregator_api.testing import summarize

values = st.lists(st.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-300), min_size=1, max_size=60)
percents = st.one_of(st.integers(0, 100), st.floats(0, 100))


def test_every_field_is_frozen():
    summary = summarize([1.0, 2.0])
    for field in fields(StatSummary):
        with pytest.raises(FrozenInstanceError):
            setattr(summary, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        summary.another = 1


@given(values, percents)
@example([float(i) for i in range(100)], 55.0)
def test_exact_percentiles_are_numpys_inverted_cdf(column, q):
    numpy = pytest.importorskip("numpy")
    expected = numpy.percentile(numpy.array(column), q, method="inverted_cdf")
    assert summarize(column).percentile(q) == expected


@given(values, percents)
def test_a_percentile_is_the_least_value_with_enough_at_or_below_it(column, q):
    found = summarize(column).percentile(q)
    assert found in column
    at_or_below = sum(value <= found for value in column)
    below = sum(value < found for value in column)
    # In floating point, as the definition is computed; the rank itself is an integer.
    assert at_or_below >= len(column) * (q / 100) - 1e-9
    assert below < max(len(column) * (q / 100), 1) + 1e-9


@given(values, percents)
def test_a_bucketed_percentile_is_within_its_stated_error_of_the_exact_one(column, q):
    exact, bucketed = summarize(column), summarize(column, exact=False)
    assert exact.percentile_error == 0.0
    assert bucketed.percentile_error == 1 / 256
    wanted = exact.percentile(q)
    assert abs(bucketed.percentile(q) - wanted) <= bucketed.percentile_error * abs(wanted)
    assert bucketed.min <= bucketed.percentile(q) <= bucketed.max


@pytest.mark.parametrize("q", [-0.1, 100.1, math.nan])
def test_a_percentile_outside_0_to_100_is_refused_with_its_value(q):
    with pytest.raises(ValueError, match="a percentile is from 0 to 100"):
        summarize([1.0]).percentile(q)


@pytest.mark.parametrize("exact", [True, False])
def test_without_a_finite_value_there_is_no_percentile_and_no_histogram(exact):
    summary = summarize([math.nan, math.inf], exact=exact)
    assert math.isnan(summary.percentile(50))
    assert summary.histogram() == ([], [])


@pytest.mark.parametrize(
    ("method", "headline"),
    [("AVERAGE", 2.0), ("MOST_RECENT", 2.0), ("SUM", 6.0), ("HISTOGRAM", 2.0), ("MIN", 1.0), ("MAX", 3.0)],
)
def test_the_headline_is_the_field_that_the_producer_chose(method, headline):
    assert summarize([1.0, 3.0, 2.0], StatsAggregationMethod[method]).aggregated_value == headline


@given(values)
def test_a_histogram_counts_every_value_below_ascending_limits_within_min_and_max(column):
    summary = summarize(column)
    limits, counts = summary.histogram()
    assert limits == sorted(limits)
    assert sum(counts) == len(column)
    assert min(counts) > 0
    assert all(summary.min <= limit <= summary.max for limit in limits)
    assert limits[-1] == summary.max


def test_a_pickled_copy_is_equal_and_still_answers():
    summary = summarize([3.0, 1.0, 2.0])
    assert summary.percentile(50) == 2.0
    copy = pickle.loads(pickle.dumps(summary))
    assert copy == summary
    assert copy.percentile(100) == 3.0
