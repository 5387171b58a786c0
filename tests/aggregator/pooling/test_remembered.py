"""Remembered: bounded by bytes, whatever is put in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator.pooling.remembered import Remembered
from stats_aggregator.pooling.series import SeriesCache, SeriesTable
from stats_aggregator_client.wire import RejectCode, WireError, encode_series


@given(st.lists(st.binary(max_size=40), unique=True, max_size=60))
def test_the_newest_are_kept_within_the_limit(keys):
    remembered = Remembered[int](100)
    for number, key in enumerate(keys):
        assert remembered.put(key, number) == number
    kept = [key for key in keys if remembered.get(key) is not None]
    assert kept == keys[len(keys) - len(kept) :]
    assert sum(map(len, kept)) <= 100 or len(kept) == 1
    assert len(remembered) == len(kept)


def test_a_cache_that_forgot_parses_again_and_says_the_same():
    cache = SeriesCache(limit_bytes=50)
    packed = [encode_series([(f"key {number}", number % 6)]) for number in range(40)]
    assert [cache.get(each) for each in packed] == [cache.get(each) for each in packed]
    with pytest.raises(WireError) as caught:
        cache.get(packed[0][:-1])
    assert caught.value.code is RejectCode.SERIES


def test_a_key_keeps_its_column_whoever_sends_it_beside_what():
    cache, table = SeriesCache(), SeriesTable(1000)
    first = table.columns(encode_series([("a", 0), ("b", 0)]), cache, "w1")
    second = table.columns(encode_series([("c", 0), ("b", 0), ("a", 0)]), cache, "w2")
    assert (first.tolist(), second.tolist(), table.keys) == ([0, 1], [2, 1, 0], ["a", "b", "c"])
    assert table.columns(encode_series([("a", 0), ("b", 0)]), cache, "w3") is first
