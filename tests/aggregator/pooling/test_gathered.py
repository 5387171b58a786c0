"""Gathered: values come together by series, in order of arrival, however the batches look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator.pooling.gathered import gather
from stats_aggregator_client.wire import Batch


def batch_of(lengths, begin):
    values = np.arange(begin, begin + sum(lengths), dtype="<f8")
    counts = np.array(lengths, dtype="<u4")
    return Batch(bytes(16), 1, "c", 0, None, 0, 0, 0, b"", counts.tobytes(), values.tobytes(), 0, 0)


def check(columns, lengths):
    """Batch `i` has `lengths[i][j]` values for series `columns[i][j]`; all values are different."""
    batches, expected, begin = [], {}, 0
    for place, (series, sizes) in enumerate(zip(columns, lengths, strict=True)):
        batches.append(batch_of(sizes, begin))
        for each, size in zip(series.tolist(), sizes, strict=True):
            segments = expected.setdefault(each, [])
            segments.append((place, list(range(begin, begin + size))))
            begin += size
    touched, firsts, batch, counts, values = gather(batches, columns)
    assert touched.tolist() == sorted(expected)
    limits, ends = [*firsts.tolist(), len(batch)], np.cumsum(counts)
    for row, series in enumerate(touched.tolist()):
        segments = [
            (int(batch[at]), values[ends[at] - counts[at] : ends[at]].tolist())
            for at in range(limits[row], limits[row + 1])
        ]
        assert segments == expected[series]
    assert len(values) == begin


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=8),
        min_size=1,
        max_size=6,
    )
)
def test_any_batches(batches):
    check(
        [np.array([series for series, _ in batch]) for batch in batches],
        [[size for _, size in batch] for batch in batches],
    )


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("size", [1, 7, 200, 1000])
@pytest.mark.parametrize("uneven", [0, 1])
def test_workers_in_step(num, size, uneven):
    columns = np.array([0, 2, 3])
    check([columns] * num, [[size, size, size + uneven]] * num)


@pytest.mark.parametrize("columns", [[3, 0, 2], [1, 1, 1]])
def test_series_that_are_the_same_but_in_no_order(columns):
    check([np.array(columns)] * 4, [[2, 2, 2]] * 4)
    same = np.array(columns)
    check([same] * 4, [[2, 2, 2]] * 4)
    check([same] * 4, [[600, 1, 300]] * 4)


@pytest.mark.parametrize("size", [1, 100, 200, 600])
@pytest.mark.parametrize("uneven", [0, 1])
@pytest.mark.parametrize("num", [1, 2, 5])
def test_columns_that_a_cache_has_let_go_of_give_the_same_bits(num, size, uneven):
    rng = np.random.default_rng(size)
    columns, batches = np.array([1, 4, 5]), []
    for _ in range(num):
        counts = rng.integers(size, size + uneven, 3, endpoint=True).astype("<u4")
        values = rng.normal(size=int(counts.sum()))
        batches.append(batch_of([], 0)._replace(counts=counts.tobytes(), values=values.tobytes()))
    shared, own = gather(batches, [columns] * num), gather(batches, [columns.copy() for _ in range(num)])
    for one, other in zip(shared, own, strict=True):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
