"""Segments: what a group has for a period, in runs of one series each, and how these sort by series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MAX_SHORT = int(np.iinfo(np.uint16).max)


def run_starts(column: Ints) -> Ints:
    """Return where each run of equal numbers begins; there is at least one."""
    return np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1]]))


def distinct(numbers: Ints) -> Ints:
    """Return which numbers there are, ascending; none is negative."""
    return np.flatnonzero(np.bincount(numbers))  # np.unique imports a megabyte when it is called first


def stretched(numbers: NDArray[Any], counts: Ints) -> NDArray[Any]:
    """Return each number so many times; one alone stands for all."""
    return numbers if len(numbers) == 1 else np.repeat(numbers, counts)


class Segments:
    """Which series each segment belongs to, in the order of arrival.

    A series may have any number of segments. Reducing them to one number a series is a fixed number of numpy
    calls, however many there are.
    """

    def __init__(self, series: Ints) -> None:
        self.series = series
        # Stable, so that the segments of a series stay in the order of arrival; short integers sort faster.
        short = series.astype(np.uint16) if series.max() <= _MAX_SHORT else series
        self.by_series: Ints = np.argsort(short, kind="stable")
        in_order = series[self.by_series]
        new = np.empty(len(in_order), dtype=np.bool_)
        new[0] = True
        np.not_equal(in_order[1:], in_order[:-1], out=new[1:])
        self.firsts: Ints = np.flatnonzero(new)
        """Where each touched series begins among the segments in order of series."""
        self.touched: Ints = in_order[self.firsts]
        self.group_in_order: Ints = np.cumsum(new) - 1
        """The position in `touched` of each segment in order of series."""
        self.group = np.empty_like(self.group_in_order)
        self.group[self.by_series] = self.group_in_order

    def per_series(self, reduce: np.ufunc, per_segment: NDArray[Any]) -> NDArray[Any]:
        """Return one number a touched series, reduced from one a segment."""
        reduced: NDArray[Any] = reduce.reduceat(per_segment[self.by_series], self.firsts)
        return reduced

    def winner(self, wins: NDArray[np.bool_]) -> Ints:
        """Return, a touched series, its first segment in the order of arrival for which `wins` is true.

        Where there is none, some segment.
        """
        places = np.where(wins[self.by_series], np.arange(len(self.series)), len(self.series) - 1)
        return self.by_series[np.minimum.reduceat(places, self.firsts)]
