"""Bucketing: numpy's twin of the api's buckets, key for key."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.pooling.bucket_counts import sorted_counts
from stats_aggregator.pooling.bucket_table import BucketTable
from stats_aggregator.pooling.bucketing import Buckets
from stats_aggregator_api.bucket import bucket_key

finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
EDGES = [0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, 2.0**-1022 - 5e-324, 1.7976931348623157e308]


def keys_of(values, bits=7):
    """The key of each value, each as a series of its own."""
    each = np.arange(len(values))
    series, keys, counts = sorted_counts(each, np.ones_like(each), np.array(values, dtype=np.float64), bits)
    assert series.tolist() == each.tolist()
    assert counts.tolist() == [1] * len(values)
    return keys.tolist()


@given(st.lists(finite | st.sampled_from(EDGES), min_size=1, max_size=40), st.integers(0, 7))
def test_every_double_has_the_key_that_the_api_gives_it(values, bits):
    assert keys_of(values, bits) == [bucket_key(value, bits) for value in values]


@given(st.integers(0, 0x7FEF_FFFF_FFFF_FFFF))
def test_every_pattern_of_bits_has_the_key_that_the_api_gives_it(pattern):
    value = float(np.int64(pattern).view(np.float64))
    neighbours = [value, -value, math.nextafter(value, 0.0)]
    assert keys_of(neighbours) == [bucket_key(each) for each in neighbours]


mixed = st.lists(st.tuples(st.integers(0, 200), finite | st.sampled_from(EDGES)), min_size=1, max_size=20)


@given(st.lists(mixed, min_size=1, max_size=4), st.integers(0, 7))
def test_a_table_counts_by_the_keys_that_the_api_gives(chunks, bits):
    table = BucketTable(bits)
    for chunk in chunks:
        series = np.array([each for each, _ in chunk])
        assert table.add(series, np.ones_like(series), np.array([value for _, value in chunk]), 1 << 30)
    found = {(int(each), int(key)): int(num) for each, key, num in zip(*table.counted(), strict=True)}
    assert found == Counter((each, bucket_key(value, bits)) for chunk in chunks for each, value in chunk)


def test_what_a_table_has_no_room_for_is_counted_all_the_same():
    table = BucketTable(7)
    few, many = np.full(1000, 1.5), np.random.default_rng(1).normal(size=1000)
    assert table.add(np.array([0]), np.array([1000]), few, most_cells=1000)
    assert not table.add(np.array([0]), np.array([1000]), many, most_cells=1000), "more octaves"
    assert not table.add(np.arange(9), np.full(9, 100), few[:900], most_cells=1000), "more series"
    assert table.nbytes <= 8 * 1000
    assert [column.tolist() for column in table.counted()] == [[0], [bucket_key(1.5)], [1000]]


def test_buckets_take_no_more_memory_than_the_values_did():
    rng = np.random.default_rng(2)
    for values in (rng.normal(size=100), rng.integers(0, 0x7FF << 52, 20_000).view(np.float64)):
        buckets = Buckets()
        for chunk in np.array_split(values, 10):
            buckets.add(np.array([0]), np.array([len(chunk)]), chunk)
            assert buckets.nbytes <= (16 + 8) * len(values)
        assert int(buckets.counts.sum()) == len(values)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), finite), max_size=30), max_size=5), st.booleans())
def test_counts_by_series_are_those_of_single_keys_in_any_order(chunks, reverse):
    buckets = Buckets()
    for chunk in reversed(chunks) if reverse else chunks:
        series = np.array([each for each, _ in chunk], dtype=np.int64)
        buckets.add(series, np.ones_like(series), np.array([value for _, value in chunk], dtype=np.float64))
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
@pytest.mark.parametrize("length", [1, 4, 80_000])
def test_the_table_and_the_sort_count_alike_in_blocks_of_any_size(spread, length):
    rng = np.random.default_rng(3)
    total = max(20_000, 2 * length)
    lengths = np.full(total // length, length)
    series = rng.integers(0, 50, len(lengths))
    values = np.where(rng.random(total) < 0.5, -1, 1) * (1.0 + rng.random(total) * spread)
    together, piecemeal = Buckets(), Buckets()
    together.add(series, lengths, values)
    ones = np.ones(10, dtype=np.int64)
    for begin in range(0, total, 10):
        piecemeal.add(np.repeat(series, lengths)[begin : begin + 10], ones, values[begin : begin + 10])
    assert together.codes.tolist() == piecemeal.codes.tolist()
    assert together.counts.tolist() == piecemeal.counts.tolist()
    assert int(together.counts.sum()) == total


def test_segments_without_a_value_count_nothing():
    buckets = Buckets()
    buckets.add(np.array([2, 0, 1, 0]), np.array([0, 2, 0, 1]), np.array([1.0, 1.0, 2.0]))
    assert (buckets.codes >> 20).tolist() == [0, 0]
    assert buckets.counts.tolist() == [2, 1]
