"""Joined: all batches of one group for one period, as one set of columns.

A segment is the run of values that one batch has for one series. Joining is what makes the engine fast: a
group costs a fixed number of numpy calls, however many batches and series are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Block, blocks
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
        self._is_single = len(self.values) == len(self.counts)
        """Whether each segment has one value: then these are what any reduction of them is."""
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
        self.num = self._reduced(np.add, finite.astype(np.int64))
        self.num_nan = self._reduced(np.add, np.isnan(self.values).astype(np.int64))
        self.num_inf = self.counts - self.num - self.num_nan
        self.sums = self._summed(self.masked(self.values, 0.0))

    def _summed(self, values: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, as it should be
            sums: Floats = self._reduced(np.add, values)
        return sums

    def _reduced(self, reduce: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Return one number a segment, reduced from one a value."""
        reduced: NDArray[Any] = values if self._is_single else reduce.reduceat(values, self.starts)
        return reduced

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
        firsts = self._reduced(np.minimum, places)
        found: Ints = np.minimum.reduceat(firsts[self.by_series], self.firsts)
        return found

    def spread(self, origin: Floats, added: Ints) -> tuple[Floats, Floats]:
        """Return mean - `origin` and M2 of each touched series; it has `added` finite values here.

        Segments first, each about its own mean, which are then merged as any two spreads are.
        """
        origins = origin[self.group]
        totals, m2 = np.empty(len(self.num)), np.zeros(len(self.num))
        if self._is_single:
            totals = self.masked(self.values - origins, 0.0)
        else:
            for block in blocks(self.ends):
                totals[block.segments], m2[block.segments] = self._spread_in(block, origins[block.segments])
        mean: Floats = self.per_series(np.add, totals) / np.maximum(added, 1)
        from_mean = totals / np.maximum(self.num, 1) - mean[self.group]
        return mean, self.per_series(np.add, m2 + self.num * (from_mean * from_mean))

    def _spread_in(self, block: Block, origins: Floats) -> tuple[Floats, Floats]:
        """Return, a segment, the sum of its values less the origin, and M2 about its mean."""
        counts, starts = self.counts[block.segments], self.starts[block.segments] - block.values.start
        from_origin = self._finite_in(block, self.values[block.values] - np.repeat(origins, counts))
        totals = np.add.reduceat(from_origin, starts)
        means = totals / np.maximum(self.num[block.segments], 1)
        deviation = np.subtract(from_origin, np.repeat(means, counts), out=from_origin)
        deviation = self._finite_in(block, deviation)
        np.multiply(deviation, deviation, out=deviation)
        return totals, np.add.reduceat(deviation, starts)

    def _finite_in(self, block: Block, values: Floats) -> Floats:
        """Return one number a value of the block, with 0 where the value is not finite."""
        return values if self.finite is None else np.where(self.finite[block.values], values, 0.0)

    # One number a segment.

    def extremes(self, reduce: np.ufunc, neutral: float) -> tuple[Floats, Ints]:
        """Return the least or greatest value of each segment and who sent it; `neutral` where none is."""
        return self._reduced(reduce, self.masked(self.values, neutral)), self.worker[self.batch]

    @property
    def last(self) -> Floats:
        """The last finite value of each segment; anything where it has none."""
        places = self.ends - 1
        if self.finite is not None:
            places = np.where(self.finite, np.arange(len(self.values)), 0)
            places = self._reduced(np.maximum, places)
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
