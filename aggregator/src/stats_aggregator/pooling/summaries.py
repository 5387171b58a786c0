"""Summaries: an accumulator's state as the rows that are stored, one a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..store.stored import SummaryRow
from .accumulators import Accumulator
from .chunk import Chunk
from .segments import Floats, Ints, run_lengths, run_starts

_Item = TypeVar("_Item")
_ROWS_AT_ONCE = 256


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
    firsts = run_starts(series)
    rows, counts = series[firsts], run_lengths(firsts, len(series))
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


class SummaryRows:
    """The rows of a closed accumulator, one a series that has any value, in order of first arrival.

    They are made while they are gone through, some at a time, and again each time: the engine waits for what
    runs in Python here, and more than for anything else for 10,000 rows that are made or freed at once.
    """

    def __init__(self, accumulator: Accumulator) -> None:
        """Close the accumulator."""
        table, moments, size = accumulator.series, accumulator.moments, len(accumulator.series)
        kept, buckets = accumulator.retained.close(), accumulator.retained.buckets
        figures = _Figures(accumulator, size)
        series, workers, values = accumulator.latest.rows()
        if len(series):
            _pool_latest(figures, series, workers, values)
            latest = Chunk(series, np.ones(len(series), np.int64), values)
            latest.fill(buckets)
            kept = Chunk.join([kept, latest])
        self._figures, self._moments = figures, moments
        self._keys, self._aggregations = table.keys, table.aggregations
        self._workers = [*accumulator.workers, ""]  # -1, no worker, is the last
        self._mantissa_bits = buckets.mantissa_bits
        bucket_keys, bucket_limits = buckets.of_series(size)
        self._bucket_keys = _Parts(bucket_keys.astype("<i4"), bucket_limits)
        self._bucket_counts = _Parts(buckets.counts.astype("<i8"), bucket_limits)
        self._values = _Parts(*kept.grouped(size))
        self._seen = np.flatnonzero(moments.seen(size))

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[SummaryRow]:
        for first in range(0, len(self._seen), _ROWS_AT_ONCE):
            yield from self._of(self._seen[first : first + _ROWS_AT_ONCE])

    def _of(self, series: Ints) -> Iterator[SummaryRow]:
        figures, moments = self._figures, self._moments
        numbers = (
            figures.num, figures.mean, figures.std, figures.sum, figures.min, figures.max, figures.last,
            moments.num_nan, moments.num_inf,
        )  # fmt: skip
        columns = (
            _at(self._keys, series),
            _at(self._aggregations, series),
            *(column[series].tolist() for column in numbers),
            _at(self._workers, figures.min_worker[series]),
            _at(self._workers, figures.max_worker[series]),
            (self._values.lengths(series) == figures.num[series]).tolist(),
            repeat(self._mantissa_bits, len(series)),
            self._bucket_keys.packed(series),
            self._bucket_counts.packed(series),
            self._values.packed(series),
        )
        return map(SummaryRow._make, zip(*columns, strict=True))


class _Parts:
    """A column in parts, one a series: part `i` begins at `limits[i]` and ends where the next begins."""

    def __init__(self, column: NDArray[Any], limits: Ints) -> None:
        self._column, self._limits = column, limits

    def lengths(self, series: Ints) -> Ints:
        """Return the length of the part of each of `series`."""
        return self._limits[series + 1] - self._limits[series]

    def packed(self, series: Ints) -> Iterator[bytes]:
        """Return the bytes of the part of each of `series`."""
        column, limits = self._column, self._limits
        ends = zip(limits[series].tolist(), limits[series + 1].tolist(), strict=True)
        return (column[start:end].tobytes() for start, end in ends)


def _at(items: Sequence[_Item], places: Ints) -> Iterator[_Item]:
    """Return the items at these places."""
    return map(items.__getitem__, places.tolist())
