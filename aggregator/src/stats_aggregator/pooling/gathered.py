"""Gathered: the values of a group's batches brought together by series, each in order of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stats_aggregator_client.wire import Batch

from .segments import Floats, Ints, Segments, places_of

_LONG_BYTES = 8 * 128
"""Segments of so many bytes are copied one by one; of shorter ones, all values by their places."""
_LONG_EVEN_BYTES = 8 * 512
"""The same for segments of one length, of which shorter ones are transposed."""


class Gathered(NamedTuple):
    """Values by series, in segments, each of which came in one batch.

    `touched` are the series, ascending, and `firsts` the first segment of each. `batch` says of each segment
    in which batch it came, and `counts` how many values it has.
    """

    touched: Ints
    firsts: Ints
    batch: Ints
    counts: Ints
    values: Floats


def gather(batches: Sequence[Batch], columns: Sequence[Ints]) -> Gathered:
    """Bring together batches that have values; `columns` says whose the segments of each are."""
    counts = np.frombuffer(b"".join([batch.counts for batch in batches]), dtype="<u4").astype(np.int64)
    num, series = len(batches), columns[0]
    in_step = all(each is series for each in columns) and bool((series[1:] > series[:-1]).all())
    if in_step:
        # Workers that run the same code send the same keys: no need to sort.
        width = len(series)
        by_series = np.arange(num * width).reshape(num, width).T.reshape(-1)
        touched, firsts = series, np.arange(width) * num
        batch = np.arange(num).reshape(1, num).repeat(width, axis=0).reshape(-1)
    else:
        segments = Segments(np.concatenate(columns))
        by_series, touched, firsts = segments.by_series, segments.touched, segments.firsts
        sizes = np.array([len(each) for each in columns], dtype=np.int64)
        batch = np.repeat(np.arange(num), sizes)[by_series]
    values = _in_order(batches, counts, by_series, len(touched) if in_step else 0)
    return Gathered(touched, firsts, batch, counts[by_series], values)


def _in_order(batches: Sequence[Batch], counts: Ints, by_series: Ints, in_step: int) -> Floats:
    """Return the values of segments of these lengths in another order.

    `in_step` is how many each batch has, where the order is that of a transposition, else 0.
    """
    if in_step and len(batches) == 1:
        return np.frombuffer(batches[0].values, dtype="<f8")
    is_even = in_step > 0 and bool((counts == counts[0]).all())
    segment_bytes = sum([len(batch.values) for batch in batches]) / len(counts)
    if segment_bytes >= (_LONG_EVEN_BYTES if is_even else _LONG_BYTES):
        pieces = list(_pieces(batches, (8 * counts).tolist()))
        return np.frombuffer(b"".join([pieces[segment] for segment in by_series.tolist()]), dtype="<f8")
    values = np.frombuffer(b"".join([batch.values for batch in batches]), dtype="<f8")
    if is_even:
        return values.reshape(len(batches), in_step, -1).transpose(1, 0, 2).reshape(-1)
    return values[places_of(counts, by_series)]


def _pieces(batches: Sequence[Batch], sizes: Sequence[int]) -> Iterator[memoryview]:
    """Yield the bytes of each segment, in order of arrival; `sizes` says how many these are."""
    left = iter(sizes)
    for batch in batches:
        values, end = memoryview(batch.values), 0
        while end < len(values):
            start, end = end, end + next(left)
            yield values[start:end]
