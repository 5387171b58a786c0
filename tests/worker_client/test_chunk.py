"""Joining and splitting lose nothing, double nothing and keep each series' order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_client.chunk import Chunk, frame_bytes, join, split
from tests.worker_client.folds import Content, chunk, content

names = st.tuples(st.text(max_size=20), st.just(0))
contents = st.dictionaries(names, st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), max_size=6)


def pooled(chunks: list[Chunk]) -> Content:
    found: Content = {}
    for one in chunks:
        for name, values in content(one).items():
            found.setdefault(name, []).extend(values)
    return found


@given(st.lists(contents, min_size=1, max_size=5))
def test_join_pools_the_values_of_each_series_in_order(parts: list[Content]) -> None:
    chunks = [chunk(part, arrival=index, first=index, last=index) for index, part in enumerate(parts)]
    joined = join(chunks)
    assert joined is not None
    assert content(joined) == pooled(chunks)
    assert (joined.arrival, joined.first, joined.last) == (0, 0, len(parts) - 1)


@given(contents, st.integers(230, 2000))
def test_split_keeps_all_values_and_the_limit(whole: Content, limit: int) -> None:
    pieces = split(chunk(whole, step=7, steps=3), limit)
    assert pooled(pieces) == whole
    for piece in pieces:
        assert frame_bytes(piece) <= limit or piece.num_values == 1
    assert [(piece.step, piece.steps) for piece in pieces] == [(None, 0)] * (len(pieces) - 1) + [(7, 3)]


def test_join_refuses_a_key_with_two_aggregations() -> None:
    assert join([chunk({("k", 0): [1.0]}), chunk({("k", 2): [1.0]})]) is None


def test_split_of_long_keys_leaves_a_value_in_each_piece() -> None:
    whole = {("k" * 512 + str(index), 0): [1.0, 2.0] for index in range(3)}
    pieces = split(chunk(whole), 300)
    assert [piece.num_values for piece in pieces] == [1] * 6
    assert pooled(pieces) == whole
