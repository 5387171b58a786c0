"""Bucketing: numpy's twin of the api's buckets, key for key."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling.bucketing import SparseBuckets, bucket_keys
from stats_aggregator_api.buckets import bucket_key

finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
EDGES = [0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, 2.0**-1022 - 5e-324, 1.7976931348623157e308]


@given(st.lists(finite | st.sampled_from(EDGES), max_size=40), st.integers(1, 7))
def test_every_double_has_the_key_that_the_api_gives_it(values, bits):
    found = bucket_keys(np.array(values, dtype=np.float64), bits)
    assert found.tolist() == [bucket_key(value, bits) for value in values]


@given(st.integers(0, 0x7FEF_FFFF_FFFF_FFFF))
def test_every_pattern_of_bits_has_the_key_that_the_api_gives_it(pattern):
    value = float(np.int64(pattern).view(np.float64))
    neighbours = np.array([value, -value, math.nextafter(value, 0.0)])
    assert bucket_keys(neighbours).tolist() == [bucket_key(each) for each in neighbours.tolist()]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), finite), max_size=30), max_size=5), st.booleans())
def test_counts_by_series_are_those_of_single_keys_in_any_order(chunks, reverse):
    buckets = SparseBuckets()
    for chunk in reversed(chunks) if reverse else chunks:
        series = np.array([each for each, _ in chunk], dtype=np.int64)
        buckets.add(series, np.array([value for _, value in chunk], dtype=np.float64))
    expected = Counter((each, bucket_key(value)) for chunk in chunks for each, value in chunk)
    keys, limits = buckets.of_series(4)
    found = {
        (each, int(key)): int(count)
        for each in range(4)
        for key, count in zip(
            keys[limits[each] : limits[each + 1]],
            buckets.counts[limits[each] : limits[each + 1]],
            strict=True,
        )
    }
    assert found == expected
    assert (np.diff(buckets.codes) > 0).all()


@pytest.mark.parametrize("spread", [1e-3, 1e300])
def test_the_table_and_the_sort_count_alike(spread):
    rng = np.random.default_rng(3)
    series = rng.integers(0, 50, 20_000)
    values = np.where(rng.random(20_000) < 0.5, -1, 1) * (1.0 + rng.random(20_000) * spread)
    together, piecemeal = SparseBuckets(), SparseBuckets()
    together.add(series, values)
    for begin in range(0, 20_000, 10):
        piecemeal.add(series[begin : begin + 10], values[begin : begin + 10])
    assert together.codes.tolist() == piecemeal.codes.tolist()
    assert together.counts.tolist() == piecemeal.counts.tolist()
    assert int(together.counts.sum()) == 20_000
