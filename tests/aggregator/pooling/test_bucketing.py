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


def test_a_table_never_has_more_cells_than_it_may():
    table, at = BucketTable(7), np.arange(40)
    assert table.add(at[:20], np.ones_like(at[:20]), np.full(20, 1.5), most_cells=40 * 128)
    assert table.add(at[20:21], np.array([1]), np.array([1.5]), most_cells=40 * 128), "room for twice as many"
    assert not table.add(at[:1], np.array([1]), np.array([3.0]), most_cells=41 * 128)
    assert table.add(at[:1], np.array([1]), np.array([3.0]), most_cells=42 * 128), "an octave more"
    assert table.nbytes <= 8 * 42 * 128
    assert table.add(at[:1], np.array([1]), np.array([1.5]), most_cells=42 * 128)
    series, _, counts = table.counted()
    assert (sorted(series.tolist()), counts.sum()) == ([0, *range(21)], 23)


def test_values_for_which_a_table_has_no_room_take_none_from_those_that_follow():
    patterns = np.random.default_rng(4).integers(0, 0x7FF << 52, 30_000).view(np.float64)
    table, one = BucketTable(7), np.array([0])
    assert not table.add(one, np.array([30_000]), patterns, most_cells=30_000)
    assert table.add(one, np.array([100]), np.full(100, 1.5), most_cells=30_000)


def test_a_table_has_room_for_values_that_came_into_it_and_for_no_others():
    # A PARTIAL of few bytes may stand for any number of values, and so may what was counted before.
    few, lengths = np.arange(5_000), np.ones(5_000, dtype=np.int64)
    for prepared in range(2):
        buckets = Buckets()
        if prepared:
            buckets.load(7, np.array([1 << 19]), np.array([1 << 47]))
        else:
            buckets.add_counts(np.array([0]), np.array([1]), np.array([1 << 47]))
        buckets.add(few, lengths, np.full(5_000, 1.5))
        assert buckets.nbytes <= (16 + 8) * 5_001


def test_a_table_stays_small_however_many_values_come():
    buckets, many = Buckets(), np.arange(20_000)
    buckets.add(np.array([0]), np.array([3_000_000]), np.full(3_000_000, 1.5))
    buckets.add(many, np.ones_like(many), np.full(20_000, 1.5))
    assert buckets.nbytes <= (16 << 20) + 16 * 20_000
    assert int(buckets.counts.sum()) == 3_020_000


actions = st.lists(
    st.tuples(st.sampled_from(["go on", "lose bits", "read", "load"]), st.integers(0, 7)), max_size=6
)


@settings(deadline=None, max_examples=40)
@given(actions, st.integers(0, 1000))
def test_a_table_in_use_counts_on_whatever_comes_between(steps, seed):
    rng = np.random.default_rng(seed)
    buckets, expected = Buckets(), []
    for action, bits in [("go on", 7), *steps]:
        values = rng.normal(size=600) * 10.0 ** rng.integers(-1, 2)
        buckets.add(np.arange(3), np.full(3, 200), values)
        expected += zip(np.repeat(np.arange(3), 200).tolist(), values.tolist(), strict=True)
        if action == "lose bits":
            buckets.coarsen(bits)
        elif action == "read":
            assert int(buckets.counts.sum()) == len(expected)
        elif action == "load":
            loaded = Buckets()
            loaded.load(buckets.mantissa_bits, buckets.codes, buckets.counts)
            buckets = loaded
    keys, limits = buckets.of_series(3)
    owners = np.repeat(np.arange(3), np.diff(limits)).tolist()
    found = dict(zip(zip(owners, keys.tolist(), strict=True), buckets.counts.tolist(), strict=True))
    assert found == Counter((each, bucket_key(value, buckets.mantissa_bits)) for each, value in expected)


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
