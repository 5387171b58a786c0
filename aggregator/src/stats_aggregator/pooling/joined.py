"""Joined: all batches of one group for one period, as one set of columns.

A segment is the run of values that one batch has for one series. Joining is what makes the engine fast: a
group costs a fixed number of numpy calls, however many batches and series are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .order import Order
from .segments import Floats, Ints, Segments


class Source(NamedTuple):
    """Where a batch comes from: the worker's number in the period, and its session as two integers."""

    worker: int
    session: tuple[int, int]


class Part(NamedTuple):
    """One batch on its way into a period."""

    columns: Ints
    counts: bytes
    values: bytes
    source: Source
    t_last: int
    seq: int


class Joined(Segments):
    """The segments of a group's batches; computed once, read by every accumulator."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(np.concatenate([part.columns for part in parts]))
        sizes = np.array([len(part.columns) for part in parts], dtype=np.int64)
        self.values: Floats = np.frombuffer(b"".join([part.values for part in parts]), dtype="<f8")
        self.counts: Ints = np.frombuffer(b"".join([part.counts for part in parts]), dtype="<u4").astype(
            np.int64
        )
        self.batch: Ints = np.repeat(np.arange(len(parts)), sizes)
        self.ends: Ints = np.cumsum(self.counts)
        self.starts: Ints = self.ends - self.counts
        self.worker: Ints = np.array([part.source.worker for part in parts], dtype=np.int64)
        self._order = Order.of(
            [part.t_last for part in parts],
            [part.source.session for part in parts],
            [part.seq for part in parts],
        )
        self._split_finite()

    def _split_finite(self) -> None:
        """Find NaN and infinities; where there are none, which one sum a segment shows, no mask is made."""
        self.sums = self._summed(self.values)
        self.finite: NDArray[np.bool_] | None = None
        self.num: Ints = self.counts
        self.num_nan: Ints | None = None
        self.num_inf: Ints | None = None
        if np.isfinite(self.sums).all():
            return
        finite = np.isfinite(self.values)
        if finite.all():
            return
        # Masked, not compressed: reduceat on a segment without values would read its neighbour.
        self.finite = finite
        self.num = np.add.reduceat(finite.astype(np.int64), self.starts)
        self.num_nan = np.add.reduceat(np.isnan(self.values).astype(np.int64), self.starts)
        self.num_inf = self.counts - self.num - self.num_nan
        self.sums = self._summed(self.masked(self.values, 0.0))

    def _summed(self, values: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, as it should be
            sums: Floats = np.add.reduceat(values, self.starts)
        return sums

    def masked(self, values: Floats, neutral: float) -> Floats:
        """Return one number a value, with `neutral` where the value is not finite."""
        return values if self.finite is None else np.where(self.finite, values, neutral)

    # One number a touched series.

    @property
    def origin(self) -> Floats:
        """The first finite value of each touched series; anything where it has none."""
        origin: Floats = self.values[self._first_finite]
        return origin

    @property
    def _first_finite(self) -> Ints:
        if self.finite is None:
            return self.starts[self.by_series[self.firsts]]
        places = np.where(self.finite, np.arange(len(self.values)), len(self.values) - 1)
        firsts = np.minimum.reduceat(places, self.starts)
        found: Ints = np.minimum.reduceat(firsts[self.by_series], self.firsts)
        return found

    def spread(self, origin: Floats, added: Ints) -> tuple[Floats, Floats]:
        """Return mean - `origin` and M2 of each touched series; it has `added` finite values here."""
        from_origin = self.values - np.repeat(origin[self.group], self.counts)
        from_origin = self.masked(from_origin, 0.0)
        total = self.per_series(np.add, np.add.reduceat(from_origin, self.starts))
        mean: Floats = total / np.maximum(added, 1)
        deviation = np.subtract(from_origin, np.repeat(mean[self.group], self.counts), out=from_origin)
        deviation = self.masked(deviation, 0.0)
        np.multiply(deviation, deviation, out=deviation)
        return mean, self.per_series(np.add, np.add.reduceat(deviation, self.starts))

    # One number a segment.

    def extremes(self, reduce: np.ufunc, neutral: float) -> tuple[Floats, Ints]:
        """Return the least or greatest value of each segment and who sent it; `neutral` where none is."""
        extremes: Floats = reduce.reduceat(self.masked(self.values, neutral), self.starts)
        return extremes, self.worker[self.batch]

    @property
    def last(self) -> Floats:
        """The last finite value of each segment; anything where it has none."""
        places = self.ends - 1
        if self.finite is not None:
            places = np.where(self.finite, np.arange(len(self.values)), 0)
            places = np.maximum.reduceat(places, self.starts)
        last: Floats = self.values[places]
        return last

    def last_rank(self) -> Ints:
        """Return the place of each segment's batch in order of time; -1 where no value is finite."""
        return np.where(self.num > 0, self._order.ranks()[self.batch], -1)

    def last_order(self, segments: Ints) -> Order:
        """Return when, and by whom, these segments' last values were sent."""
        return self._order.take(self.batch[segments])

    def latest(self, most_recent: NDArray[np.bool_]) -> tuple[Ints, Ints, Order, Floats]:
        """Return series, worker, order and value of each segment's last value where it is `most_recent`."""
        segments = np.flatnonzero(most_recent[self.series] & (self.num > 0))
        workers = self.worker[self.batch[segments]]
        return self.series[segments], workers, self.last_order(segments), self.last[segments]
