"""Buckets: bounded error, and merging that no order can change."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_api import Buckets
from stats_aggregator_api.bucket import bucket_key, bucket_limits, bucket_middle, coarser_key, relative_error

finite = st.floats(allow_nan=False, allow_infinity=False)
normal = finite.filter(lambda value: abs(value) >= 2.0**-1022)
columns = st.lists(finite, max_size=30)
mantissa_bits = st.integers(1, 7)


@given(normal)
def test_a_normal_double_is_within_1_256_of_its_buckets_middle(value):
    assert abs(bucket_middle(bucket_key(value)) - value) <= abs(value) / 256
    assert relative_error() == 1 / 256


@given(normal, mantissa_bits)
def test_fewer_bits_bound_the_error_as_stated(value, bits):
    middle = bucket_middle(bucket_key(value, bits), bits)
    assert abs(middle - value) <= abs(value) * relative_error(bits)


@given(finite, finite)
def test_keys_are_ordered_like_the_values(one, other):
    low, high = sorted((one, other))
    assert bucket_key(low) <= bucket_key(high)


@given(finite, mantissa_bits)
def test_a_value_lies_within_the_limits_of_its_bucket(value, bits):
    low, high = bucket_limits(bucket_key(value, bits), bits)
    assert low <= value <= high


@given(finite, mantissa_bits)
def test_a_coarser_key_is_the_key_with_fewer_bits(value, bits):
    assert coarser_key(bucket_key(value), 7 - bits) == bucket_key(value, bits)


def test_zero_has_a_bucket_of_its_own():
    assert bucket_key(0.0) == bucket_key(-0.0) == 0
    assert bucket_key(5e-324) > 0 > bucket_key(-5e-324)
    assert bucket_limits(0) == (0.0, 0.0)


def test_values_that_are_not_finite_have_no_bucket():
    buckets = Buckets.of([1.0, math.nan, math.inf, -math.inf])
    assert list(buckets.counts) == [1]


@given(columns, columns, columns, mantissa_bits)
def test_merging_is_associative_commutative_and_the_same_as_pooling(a, b, c, bits):
    x, y, z = Buckets.of(a), Buckets.of(b, bits), Buckets.of(c)
    pooled = Buckets.of([*a, *b, *c], bits)
    assert x.merge(y).merge(z) == x.merge(y.merge(z)) == z.merge(y).merge(x) == pooled


@given(columns)
def test_an_empty_set_of_buckets_changes_nothing(values):
    assert Buckets.of(values).merge(Buckets()) == Buckets.of(values)


def test_value_at_finds_the_bucket_of_a_rank_and_refuses_one_past_the_end():
    buckets = Buckets.of([1.0, 1.0, 1024.0])
    middles = [buckets.value_at(index) for index in range(3)]
    assert middles[0] == middles[1] == pytest.approx(1.0, rel=1 / 256)
    assert middles[2] == pytest.approx(1024.0, rel=1 / 256)
    with pytest.raises(IndexError, match="index 3 is past the 3 values"):
        buckets.value_at(3)
