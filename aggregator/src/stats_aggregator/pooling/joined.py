"""Joined: all batches of one group for one period, as one set of columns.

A segment is the run of values that one batch has for one series. Joining is what makes the engine fast: a
group costs a fixed number of numpy calls, however many batches and series are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Source(NamedTuple):
    """Where a batch comes from: the worker's number in the period, and its session as two integers."""

    worker: int
    session_high: int
    session_low: int


class Part(NamedTuple):
    """One batch on its way into a period."""

    columns: Ints
    counts: bytes
    values: bytes
    source: Source
    t_last: int
    seq: int


class Order(NamedTuple):
    """What makes one value later than another: time, then session, then seq."""

    time: Ints
    session_high: NDArray[np.uint64]
    session_low: NDArray[np.uint64]
    seq: Ints

    def take(self, rows: Ints) -> Order:
        """Return the rows at `rows`."""
        return Order(self.time[rows], self.session_high[rows], self.session_low[rows], self.seq[rows])

    def after(self, other: Order) -> NDArray[np.bool_]:
        """Return, row by row, whether this is later than `other`."""
        later = self.seq > other.seq
        for mine, theirs in zip(reversed(self[:3]), reversed(other[:3]), strict=True):
            later = (mine > theirs) | ((mine == theirs) & later)
        return later

    def sorted_rows(self, *leading: Ints) -> Ints:
        """Return the rows in ascending order of `leading`, then of time, session and seq."""
        return np.lexsort((self.seq, self.session_low, self.session_high, self.time, *reversed(leading)))


class Joined:
    """The segments of a group, and how they sort by series; computed once, read by every accumulator."""

    def __init__(self, parts: Sequence[Part]) -> None:
        sizes = np.array([len(part.columns) for part in parts], dtype=np.int64)
        self.values: Floats = np.frombuffer(b"".join([part.values for part in parts]), dtype="<f8")
        self.counts: Ints = np.frombuffer(b"".join([part.counts for part in parts]), dtype="<u4").astype(
            np.int64
        )
        self.series: Ints = np.concatenate([part.columns for part in parts])
        self.batch: Ints = np.repeat(np.arange(len(parts)), sizes)
        self.ends: Ints = np.cumsum(self.counts)
        self.starts: Ints = self.ends - self.counts
        sources = [part.source for part in parts]
        self.worker: Ints = np.array([source.worker for source in sources], dtype=np.int64)
        self.order = Order(
            np.array([part.t_last for part in parts], dtype=np.int64),
            np.array([source.session_high for source in sources], dtype=np.uint64),
            np.array([source.session_low for source in sources], dtype=np.uint64),
            np.array([part.seq for part in parts], dtype=np.int64),
        )
        # Stable, so that the segments of a series stay in the order of arrival.
        self.by_series: Ints = np.argsort(self.series, kind="stable")
        in_order = self.series[self.by_series]
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
        self._split_finite()

    def _split_finite(self) -> None:
        """Find NaN and infinities; where there are none, which one sum a segment shows, no mask is made."""
        self.sums = self._summed(self.values)
        self.finite: NDArray[np.bool_] | None = None
        self.num: Ints = self.counts
        self.num_nan: Ints | None = None
        if np.isfinite(self.sums).all():
            return
        finite = np.isfinite(self.values)
        if finite.all():
            return
        # Masked, not compressed: reduceat on a segment without values would read its neighbour.
        self.finite = finite
        self.num = np.add.reduceat(finite.astype(np.int64), self.starts)
        self.num_nan = np.add.reduceat(np.isnan(self.values).astype(np.int64), self.starts)
        self.sums = self._summed(self.masked(self.values, 0.0))

    def _summed(self, values: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, as it should be
            sums: Floats = np.add.reduceat(values, self.starts)
        return sums

    def masked(self, values: Floats, neutral: float) -> Floats:
        """Return one number a value, with `neutral` where the value is not finite."""
        return values if self.finite is None else np.where(self.finite, values, neutral)

    def per_series(self, reduce: np.ufunc, per_segment: NDArray[Any]) -> NDArray[Any]:
        """Return one number a touched series, reduced from one a segment."""
        reduced: NDArray[Any] = reduce.reduceat(per_segment[self.by_series], self.firsts)
        return reduced

    def winner(self, wins: NDArray[np.bool_]) -> Ints:
        """Return, a touched series, its first segment in the order of arrival for which `wins` is true."""
        places = np.where(wins[self.by_series], np.arange(len(self.series)), len(self.series) - 1)
        return self.by_series[np.minimum.reduceat(places, self.firsts)]

    @cached_property
    def first_finite(self) -> Ints:
        """The place in `values` of each touched series' first finite value; anything where it has none."""
        if self.finite is None:
            return self.starts[self.by_series[self.firsts]]
        places = np.where(self.finite, np.arange(len(self.values)), len(self.values) - 1)
        firsts = np.minimum.reduceat(places, self.starts)
        found: Ints = np.minimum.reduceat(firsts[self.by_series], self.firsts)
        return found

    @cached_property
    def last_finite(self) -> Ints:
        """The place in `values` of each segment's last finite value; anything where it has none."""
        if self.finite is None:
            return self.ends - 1
        places = np.where(self.finite, np.arange(len(self.values)), 0)
        found: Ints = np.maximum.reduceat(places, self.starts)
        return found

    def rank(self) -> Ints:
        """Return, a segment, the place of its batch in order of time; -1 where no value is finite."""
        rank = np.empty(len(self.worker), dtype=np.int64)
        rank[self.order.sorted_rows()] = np.arange(len(rank))
        return np.where(self.num > 0, rank[self.batch], -1)
