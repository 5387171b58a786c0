"""Summaries: an accumulator's state as the rows that are stored, one a series."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..store.stored import SummaryRow
from .accumulators import Accumulator
from .bucketing import SparseBuckets
from .chunk import Chunk
from .segments import Floats, Ints


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
    """Close the accumulator and yield a row for each series that has any value, in order of first arrival."""
    size = len(accumulator.series)
    if not size:
        return
    kept = accumulator.retained.close()
    buckets = accumulator.retained.buckets
    figures = _Figures(accumulator, size)
    series, workers, values = accumulator.latest.rows()
    if len(series):
        _pool_latest(figures, series, workers, values)
        latest = Chunk(series, np.ones(len(series), np.int64), values)
        latest.fill(buckets)
        kept = Chunk.join([kept, latest])
    yield from _rows(accumulator, figures, kept, buckets)


def _rows(
    accumulator: Accumulator, figures: _Figures, kept: Chunk, buckets: SparseBuckets
) -> Iterator[SummaryRow]:
    table, moments, size = accumulator.series, accumulator.moments, len(accumulator.series)
    values, value_limits = kept.grouped(size)
    keys, bucket_limits = buckets.of_series(size)
    # One conversion for all series, then slices: no Python object a value.
    value_bytes, key_bytes = values.tobytes(), keys.astype("<i4").tobytes()
    count_bytes = buckets.counts.astype("<i8").tobytes()
    names = [*accumulator.workers, ""]  # -1, no worker, is the last
    columns = [
        column.tolist()
        for column in (
            figures.num, figures.mean, figures.std, figures.sum, figures.min, figures.max, figures.last,
            moments.num_nan, moments.num_inf,
        )
    ]  # fmt: skip
    min_workers, max_workers = figures.min_worker.tolist(), figures.max_worker.tolist()
    nums = columns[0]
    value_at, bucket_at = value_limits.tolist(), bucket_limits.tolist()
    for row in np.flatnonzero(moments.seen(size)).tolist():
        low, high = value_at[row], value_at[row + 1]
        first, past = bucket_at[row], bucket_at[row + 1]
        yield SummaryRow._make(
            (
                table.keys[row],
                table.aggregations[row],
                *(column[row] for column in columns),
                names[min_workers[row]],
                names[max_workers[row]],
                high - low == nums[row],
                buckets.mantissa_bits,
                key_bytes[4 * first : 4 * past],
                count_bytes[8 * first : 8 * past],
                value_bytes[8 * low : 8 * high],
            )
        )
