"""Summaries: an accumulator's state as the rows that are stored, one a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..store.stored import SummaryRow
from .accumulators import Accumulator
from .bucketing import SparseBuckets
from .chunk import Chunk
from .segments import Floats, Ints

_Item = TypeVar("_Item")


class _Figures:
    """What a row says of its series, by columns."""

    def __init__(self, accumulator: Accumulator, size: int) -> None:
        moments = accumulator.moments
        self.num = moments.num[:size].copy()
        some = np.maximum(self.num, 1)
        empty = self.num == 0
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum = _compensated(moments.sum[:size], moments.sum_error[:size])
            mean = self.sum / some
            # A sum past 1.8e308 is infinite where the mean is not.
            from_origin = moments.origin[:size] + moments.mean_from_origin[:size]
            self.min = moments.min[:size].copy()
            self.max = moments.max[:size].copy()
            # Rounding must not take a mean past the extremes: that of equal values is the value.
            self.mean = np.clip(_finite(np.where(np.isfinite(mean), mean, from_origin)), self.min, self.max)
            self.std = _std(moments.m2[:size], some)
        self.last = moments.last[:size]
        self.min_worker = moments.min_worker[:size].copy()
        self.max_worker = moments.max_worker[:size].copy()
        for column in (self.mean, self.std, self.min, self.max, self.sum):
            column[empty] = np.nan
        self.sum[empty] = 0.0


def _std(m2: Floats, num: Ints) -> Floats:
    """Return the population's standard deviation; infinite where its square is past 1.8e308."""
    variance: Floats = m2 / num
    std: Floats = np.sqrt(np.where(np.isnan(variance), np.inf, variance))
    return std


def _finite(mean: Floats) -> Floats:
    """Return NaN for a mean that came out infinite: it is of values too far apart for a double to tell."""
    return np.where(np.isfinite(mean), mean, np.nan)


def _compensated(total: Floats, error: Floats) -> Floats:
    return np.where(np.isfinite(total), total + error, total)


def _pool_latest(figures: _Figures, series: Ints, workers: Ints, values: Floats) -> None:
    """Put the figures over the latest value of each worker in place of those over all values."""
    firsts = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
    rows, counts = series[firsts], np.diff(firsts, append=len(series))
    figures.num[rows] = counts
    with np.errstate(over="ignore", invalid="ignore"):
        origin = values[firsts]
        from_origin = values - np.repeat(origin, counts)
        mean = np.add.reduceat(from_origin, firsts) / counts
        deviation = from_origin - np.repeat(mean, counts)
        figures.std[rows] = _std(np.add.reduceat(deviation * deviation, firsts), counts)
        figures.mean[rows] = _finite(origin + mean)
        figures.sum[rows] = np.add.reduceat(values, firsts)
    for reduce, extreme, worker in (
        (np.minimum, figures.min, figures.min_worker),
        (np.maximum, figures.max, figures.max_worker),
    ):
        extreme[rows] = reduce.reduceat(values, firsts)
        hit = np.where(values == np.repeat(extreme[rows], counts), np.arange(len(values)), len(values))
        worker[rows] = workers[np.minimum.reduceat(hit, firsts)]


def summary_rows(accumulator: Accumulator) -> Iterator[SummaryRow]:
    """Close the accumulator; return a row for each series that has any value, in order of first arrival."""
    size = len(accumulator.series)
    kept = accumulator.retained.close()
    buckets = accumulator.retained.buckets
    figures = _Figures(accumulator, size)
    series, workers, values = accumulator.latest.rows()
    if len(series):
        _pool_latest(figures, series, workers, values)
        latest = Chunk(series, np.ones(len(series), np.int64), values)
        latest.fill(buckets)
        kept = Chunk.join([kept, latest])
    return _rows(accumulator, figures, kept, buckets)


def _rows(
    accumulator: Accumulator, figures: _Figures, kept: Chunk, buckets: SparseBuckets
) -> Iterator[SummaryRow]:
    table, moments, size = accumulator.series, accumulator.moments, len(accumulator.series)
    values, value_limits = kept.grouped(size)
    keys, bucket_limits = buckets.of_series(size)
    rows = np.flatnonzero(moments.seen(size))
    numbers = (
        figures.num, figures.mean, figures.std, figures.sum, figures.min, figures.max, figures.last,
        moments.num_nan, moments.num_inf,
    )  # fmt: skip
    names = [*accumulator.workers, ""]  # -1, no worker, is the last
    columns = (
        _at(table.keys, rows),
        _at(table.aggregations, rows),
        *(column[rows].tolist() for column in numbers),
        _at(names, figures.min_worker[rows]),
        _at(names, figures.max_worker[rows]),
        (np.diff(value_limits)[rows] == figures.num[rows]).tolist(),
        repeat(buckets.mantissa_bits, len(rows)),
        _cut(keys.astype("<i4"), bucket_limits, rows),
        _cut(buckets.counts.astype("<i8"), bucket_limits, rows),
        _cut(values, value_limits, rows),
    )
    # By columns, since the engine waits while there is Python to run here, a series at a time above all.
    return map(SummaryRow._make, zip(*columns, strict=True))


def _at(items: Sequence[_Item], places: Ints) -> Iterator[_Item]:
    """Return the items at these places."""
    return map(items.__getitem__, places.tolist())


def _cut(column: NDArray[Any], limits: Ints, rows: Ints) -> list[bytes]:
    """Return the bytes of each row's part of `column`; part `i` begins at `limits[i]`."""
    packed, width = column.tobytes(), column.itemsize
    starts, ends = limits[rows] * width, limits[rows + 1] * width
    return [packed[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
