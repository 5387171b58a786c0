"""Segments: what a group has for a period, in runs of one series each, and how these sort by series."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MAX_SHORT = int(np.iinfo(np.uint16).max)


def run_starts(column: Ints) -> Ints:
    """Return where each run of equal numbers begins; there is at least one."""
    is_first = np.empty(len(column), dtype=np.bool_)
    is_first[0] = True
    np.not_equal(column[1:], column[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)


def run_lengths(starts: Ints, total: int) -> Ints:
    """Return how long each run is; the last ends at `total`."""
    lengths = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1] = total - starts[-1]
    return lengths  # np.diff takes ten times as long for a few


def distinct(numbers: Ints) -> Ints:
    """Return which numbers there are, ascending; none is negative."""
    return np.flatnonzero(np.bincount(numbers))  # np.unique imports a megabyte when it is called first


def grown(column: NDArray[Any], size: int, empty: float) -> NDArray[Any]:
    """Return a column with at least `size` rows; one that has to grow doubles, its new rows are `empty`."""
    if size <= len(column):
        return column
    more = max(size, 2 * len(column)) - len(column)
    return np.concatenate([column, np.full(more, empty, dtype=column.dtype)])


def stretched(numbers: NDArray[Any], counts: Ints) -> NDArray[Any]:
    """Return each number so many times; one alone stands for all."""
    return numbers if len(numbers) == 1 else np.repeat(numbers, counts)


def places_of(counts: Ints, order: Ints) -> Ints:
    """Return where each value of segments of these lengths stands, with the segments in another order."""
    in_order, starts = counts[order], np.cumsum(counts) - counts
    shifts = starts[order] - (np.cumsum(in_order) - in_order)
    return np.repeat(shifts, in_order) + np.arange(int(counts.sum()))


class Segments:
    """Which series each segment belongs to, in the order of arrival.

    A series may have any number of segments. Reducing them to one number a series is a fixed number of numpy
    calls, however many there are.
    """

    def __init__(self, series: Ints) -> None:
        # Stable, so that the segments of a series stay in the order of arrival; short integers sort faster.
        short = series.astype(np.uint16) if series.max() <= _MAX_SHORT else series
        self.by_series: Ints = np.argsort(short, kind="stable")
        in_order = series[self.by_series]
        self.firsts: Ints = run_starts(in_order)
        """Where each touched series begins among the segments in order of series."""
        self.touched: Ints = in_order[self.firsts]

    @cached_property
    def group(self) -> Ints:
        """The position in `touched` of each segment."""
        group = np.empty_like(self.by_series)
        lengths = run_lengths(self.firsts, len(group))
        group[self.by_series] = np.repeat(np.arange(len(lengths)), lengths)
        return group

    def per_series(self, reduce: np.ufunc, per_segment: NDArray[Any]) -> NDArray[Any]:
        """Return one number a touched series, reduced from one a segment."""
        reduced: NDArray[Any] = reduce.reduceat(per_segment[self.by_series], self.firsts)
        return reduced

    def winner(self, wins: NDArray[np.bool_]) -> Ints:
        """Return, a touched series, its first segment in the order of arrival for which `wins` is true.

        Where there is none, some segment.
        """
        places = np.where(wins[self.by_series], np.arange(len(wins)), len(wins) - 1)
        return self.by_series[np.minimum.reduceat(places, self.firsts)]
