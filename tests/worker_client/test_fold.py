"""However values are folded: counts, extremes and buckets are identical, moments true to rounding."""

from __future__ import annotations

import math
import random
import sys
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.fold import Fold, fold_bytes, split_fold
from stats_aggregator_client.folding import coarsen, finished, fold_chunk, join_items, pooled
from tests.worker_client.folds import Content, check_buckets, check_moments, chunk, content, done

NAMES = [("a", 0), ("b", 1), ("c", 2), ("a", 2)]
ordinary = st.floats(-1e6, 1e6) | st.floats(1e15, 1e15 + 1e3) | st.sampled_from([0.0, -0.0, 1.0, 2.5])
odd = st.sampled_from([math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2e-308, 1e-200])
values = st.lists(ordinary | odd, min_size=1, max_size=50)
contents = st.dictionaries(st.sampled_from(NAMES), values, min_size=1)


@pytest.fixture(params=["without numpy", "with numpy"], scope="module")
def _numpy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once as where nobody has imported numpy, once as where somebody has."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "with numpy":
            pytest.importorskip("numpy")
        else:
            patch.delitem(sys.modules, "numpy", raising=False)
        yield


def pool(parts: list[Content]) -> Content:
    found: Content = {}
    for part in parts:
        for name, more in part.items():
            found.setdefault(name, []).extend(more)
    return found


def check(found: Chunk | Fold, right: Content) -> None:
    if isinstance(found, Chunk):
        assert {name: array("d", more).tobytes() for name, more in content(found).items()} == {
            name: array("d", more).tobytes() for name, more in right.items()
        }
        return
    assert found.num_values == sum(map(len, right.values()))
    parts = {part.name: part for part in found.parts()}
    assert set(parts) == set(right)
    for name, part in parts.items():
        check_moments(right[name], part.moments)
        check_buckets(right[name], part.keys, part.counts, found.mantissa_bits)


@given(parts=st.lists(contents, min_size=1, max_size=6), data=st.data())
def test_any_folding_in_any_grouping_comes_to_the_same(parts: list[Content], data: st.DataObject) -> None:
    steps = [data.draw(st.none() | st.integers(0, 9)) for _ in parts]
    items: list[Chunk | Fold] = [
        chunk(part, arrival=index, first=index, last=index, steps=1, step=steps[index], late=1)
        for index, part in enumerate(parts)
    ]
    while len(items) > 1:
        at = data.draw(st.integers(0, len(items) - 1))
        item = items[at]
        if isinstance(item, Chunk) and data.draw(st.booleans()):
            items[at] = done(fold_chunk(item))
        elif at + 1 < len(items):
            items[at : at + 2] = [done(join_items(item, items[at + 1]))]
    (whole,) = items
    check(whole, pool(parts))
    assert (whole.arrival, whole.first, whole.last) == (0, 0, len(parts) - 1)
    assert whole.steps == whole.late == len(parts)
    assert whole.step == next((step for step in reversed(steps) if step is not None), None)


@pytest.mark.usefixtures("_numpy")
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e15, 1e150])
@pytest.mark.parametrize("num", [1, 300, 5000])
def test_columns_of_any_size_are_true_to_rounding(num: int, scale: float) -> None:
    source = random.Random(num)
    column = [source.gauss(3.0, 1.0) * scale for _ in range(num)] + [0.0, -0.0, math.nan, math.inf]
    source.shuffle(column)
    moments, buckets = pooled(array("d", column))
    check_moments(column, moments)
    check_buckets(column, sorted(buckets), [buckets[key] for key in sorted(buckets)])
    check(done(fold_chunk(chunk({("k", 0): column}))), {("k", 0): column})


@pytest.mark.usefixtures("_numpy")
def test_values_far_off_with_a_small_spread_keep_it() -> None:
    column = [1e15 + (index % 3) for index in range(9000)]
    (part,) = list(done(fold_chunk(chunk({("k", 0): column}))).parts())  # type: ignore[union-attr]
    assert part.moments.m2 / 9000 == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.usefixtures("_numpy")
@pytest.mark.parametrize("num", [2, 600])
@settings(max_examples=40)
@given(data=st.data())
def test_what_overflows_is_infinite_and_never_nan(num: int, data: st.DataObject) -> None:
    huge = st.sampled_from([1.7e308, -1.7e308, 1e308, -1e308, 1.0])
    pair = data.draw(st.lists(st.lists(huge, min_size=2, max_size=2), min_size=2, max_size=4))
    found = None
    for column in (each * (num // 2) for each in pair):
        moments, _ = pooled(array("d", column))
        found = moments if found is None else found.merge(moments)
    assert found is not None
    assert not any(map(math.isnan, found))
    assert math.isfinite(found.origin)
    assert math.isfinite(found.mean_from_origin)
    assert found.min <= found.mean <= found.max
    assert found.m2 >= 0.0


@settings(max_examples=40)
@given(contents, st.integers(0, 7))
def test_coarser_buckets_are_the_apis(right: Content, bits: int) -> None:
    fold = done(fold_chunk(chunk(right)))
    assert isinstance(fold, Fold)
    check(finished(coarsen(fold, bits)), right)


@settings(max_examples=40)
@given(contents, contents, st.integers(0, 7), st.integers(0, 7))
def test_folds_of_different_bits_join_at_the_coarser(
    first: Content, second: Content, left_bits: int, right_bits: int
) -> None:
    left, right = (done(fold_chunk(chunk(each))) for each in (first, second))
    assert isinstance(left, Fold)
    assert isinstance(right, Fold)
    both = done(join_items(finished(coarsen(left, left_bits)), finished(coarsen(right, right_bits))))
    assert isinstance(both, Fold)
    assert both.mantissa_bits == min(left_bits, right_bits)
    check(both, pool([first, second]))


@settings(max_examples=40)
@given(contents, st.integers(100, 3000), st.data())
def test_a_fold_is_parted_by_series_and_no_part_holds_a_key_twice(
    right: Content, limit: int, data: st.DataObject
) -> None:
    late = data.draw(st.integers(0, sum(map(len, right.values()))))
    whole = done(fold_chunk(chunk(right, step=7, steps=3, late=late)))
    rest: Fold | None = whole  # type: ignore[assignment]
    pieces = []
    while rest is not None:
        piece, rest = split_fold(rest, limit)
        pieces.append(piece)
        keys = [key for key, _ in piece.series]
        assert len(keys) == len(set(keys))
        assert sum(map(piece.part_bytes, range(len(keys)))) <= limit or len(keys) == 1
        check(piece, {name: right[name] for name in piece.series})
    assert [name for piece in pieces for name in piece.series] == list(right)
    assert all(piece.late <= piece.num_values for piece in pieces)
    assert sum(piece.late for piece in pieces) == late
    assert [(piece.step, piece.steps) for piece in pieces] == [(None, 0)] * (len(pieces) - 1) + [(7, 3)]


@pytest.mark.parametrize(("series", "num"), [(1, 200), (1, 2000), (50, 40), (50, 200)])
def test_a_fold_takes_the_memory_that_it_says(series: int, num: int) -> None:
    source = random.Random(1)
    whole = chunk({(f"k{index}", 0): [source.gauss(0, 1) for _ in range(num)] for index in range(series)})
    fold = done(fold_chunk(whole))
    assert isinstance(fold, Fold)
    taken = sum(
        map(sys.getsizeof, [fold, fold.step, *(field for field in fold if not isinstance(field, int))])
    )
    assert taken <= fold.cost_bytes <= taken + 600
    assert fold.cost_bytes < whole.cost_bytes
    assert fold.part_bytes(0) < fold_bytes(fold)
