"""Joined: all batches of one group for one period, as one set of columns.

The values stand by series, in order of arrival, so that a group costs a fixed number of numpy calls over long
runs, however many batches and series are in it. A segment is the part of a run that came in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stats_aggregator_client.wire import Batch

from .blocks import BLOCK_VALUES, Block, blocks
from .gathered import gather
from .order import Order
from .segments import Floats, Ints, run_lengths, stretched


class Source(NamedTuple):
    """Where a batch comes from: the worker's number in the period, and its session as two integers."""

    worker: int
    session: tuple[int, int]


class Joined:
    """What a group's batches have for each series that they touch.

    `touched` are these series, ascending; the other columns but `values` and `finite` have a number for each
    of them. `added` counts finite values; the counts of others are None where there are none.
    """

    def __init__(self, batches: Sequence[Batch], columns: Sequence[Ints], sources: Sequence[Source]) -> None:
        """Join batches that have values; `columns` says whose the segments of each are."""
        self._worker = np.array([source.worker for source in sources], dtype=np.int64)
        self._order = Order.of(
            [batch.t_last for batch in batches],
            [source.session for source in sources],
            [batch.seq for batch in batches],
        )
        self.touched, self._firsts, self._batch, self._segment_counts, self.values = gather(batches, columns)
        self._segment_ends: Ints = np.cumsum(self._segment_counts)
        self.counts: Ints = np.add.reduceat(self._segment_counts, self._firsts)
        self._ends: Ints = np.cumsum(self.counts)
        self._starts: Ints = self._ends - self.counts
        self._split_finite()

    def _split_finite(self) -> None:
        """Find NaN and infinities; where there are none, which one sum a series shows, no mask is made."""
        self.sums = self._summed(self.values)
        self.finite: NDArray[np.bool_] | None = None
        self.added: Ints = self.counts
        self.num_nan: Ints | None = None
        self.num_inf: Ints | None = None
        if np.isfinite(self.sums).all():
            return
        finite = np.isfinite(self.values)
        if finite.all():
            return
        # Masked, not compressed: reduceat on a run without values would read its neighbour.
        self.finite = finite
        self.added = _counted(finite, self._starts)
        self.num_nan = _counted(np.isnan(self.values), self._starts)
        self.num_inf = self.counts - self.added - self.num_nan
        self.sums = self._summed(np.where(finite, self.values, 0.0))

    def _summed(self, values: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, as it should be
            sums: Floats = np.add.reduceat(values, self._starts)
        return sums

    @property
    def finite_values(self) -> Floats:
        """The values that are finite, by series."""
        return self.values if self.finite is None else self.values[self.finite]

    @property
    def origin(self) -> Floats:
        """The first finite value; anything where there is none."""
        firsts = self._starts
        if self.finite is not None:
            places = np.where(self.finite, np.arange(len(self.values)), len(self.values) - 1)
            firsts = np.minimum.reduceat(places, firsts)
        origin: Floats = self.values[firsts]
        return origin

    def spread(self, origin: Floats) -> tuple[Floats, Floats]:
        """Return mean - `origin` and M2."""
        if self.counts.max() <= BLOCK_VALUES:
            totals, m2 = self._spreads(self._ends, self.counts, self.added, origin)
            return totals / np.maximum(self.added, 1), m2
        # Long runs in pieces, each about its own mean, which are then merged as any two spreads are.
        pieces = -(-self.counts // BLOCK_VALUES)
        owner = np.repeat(np.arange(len(pieces)), pieces)
        firsts = np.cumsum(pieces) - pieces
        starts = self._starts[owner] + (np.arange(len(owner)) - firsts[owner]) * BLOCK_VALUES
        ends = np.minimum(starts + BLOCK_VALUES, self._ends[owner])
        num = self._num_in(starts, ends)
        totals, m2 = self._spreads(ends, ends - starts, num, origin[owner])
        mean: Floats = np.add.reduceat(totals, firsts) / np.maximum(self.added, 1)
        from_mean = totals / np.maximum(num, 1) - mean[owner]
        return mean, np.add.reduceat(m2 + num * (from_mean * from_mean), firsts)

    def _num_in(self, starts: Ints, ends: Ints) -> Ints:
        """Return how many finite values there are from each of `starts` to its end."""
        return ends - starts if self.finite is None else _counted(self.finite, starts)

    def _spreads(self, ends: Ints, counts: Ints, num: Ints, origins: Floats) -> tuple[Floats, Floats]:
        """Return, a piece, the sum of its values less the origin, and M2 about its mean."""
        totals, m2 = np.empty(len(ends)), np.empty(len(ends))
        starts = ends - counts
        for block in blocks(ends):
            some, first = block.segments, block.values.start
            lengths, begins = counts[some], starts[some] - first
            from_origin = self.values[block.values] - stretched(origins[some], lengths)
            from_origin = self._finite_in(block, from_origin)
            totals[some] = np.add.reduceat(from_origin, begins)
            means = totals[some] / np.maximum(num[some], 1)
            deviation = np.subtract(from_origin, stretched(means, lengths), out=from_origin)
            deviation = self._finite_in(block, deviation)
            np.multiply(deviation, deviation, out=deviation)
            m2[some] = np.add.reduceat(deviation, begins)
        return totals, m2

    def _finite_in(self, block: Block, values: Floats) -> Floats:
        """Return one number a value of the block, with 0 where the value is not finite."""
        return values if self.finite is None else np.where(self.finite[block.values], values, 0.0)

    def extremes(self, reduce: np.ufunc, neutral: float) -> Floats:
        """Return the least or greatest value; `neutral` where none is finite."""
        masked = self.values if self.finite is None else np.where(self.finite, self.values, neutral)
        extremes: Floats = reduce.reduceat(masked, self._starts)
        return extremes

    def senders(self, reduce: np.ufunc, extremes: Floats) -> Ints:
        """Return who sent these extremes first; anything where no value is finite."""
        places = np.flatnonzero(self.values == np.repeat(extremes, self.counts))
        firsts = np.searchsorted(places, self._starts)
        found = places[np.minimum(firsts, len(places) - 1)] if len(places) else self._starts
        return self._worker[self._batch[np.searchsorted(self._segment_ends, found, "right")]]

    def newest(self) -> tuple[Order, Floats]:
        """Return the last finite value, and when and by whom it was sent; anything where there is none."""
        ranks = self._order.ranks()[self._batch]
        if self.finite is not None:
            ranks = np.where(self._finite_in_segments() > 0, ranks, -1)
        newest_ranks = np.maximum.reduceat(ranks, self._firsts)
        is_newest = ranks == np.repeat(newest_ranks, run_lengths(self._firsts, len(ranks)))
        newest = np.flatnonzero(is_newest)
        segments = newest[np.searchsorted(newest, self._firsts)]
        return self._order.take(self._batch[segments]), self._last_of(segments)

    def _finite_in_segments(self) -> Ints:
        """Return how many finite values each segment has."""
        return self._num_in(self._segment_ends - self._segment_counts, self._segment_ends)

    def _last_of(self, segments: Ints) -> Floats:
        """Return the last finite value of these segments; anything where there is none."""
        places = self._segment_ends - 1
        if self.finite is not None:
            finite = np.where(self.finite, np.arange(len(self.values)), 0)
            places = np.maximum.reduceat(finite, self._segment_ends - self._segment_counts)
        last: Floats = self.values[places[segments]]
        return last

    def latest(self, most_recent: NDArray[np.bool_]) -> tuple[Ints, Ints, Order, Floats]:
        """Return series, worker, order and value of each segment's last value where it is `most_recent`."""
        series = np.repeat(self.touched, run_lengths(self._firsts, len(self._batch)))
        segments = np.flatnonzero(most_recent[series] & (self._finite_in_segments() > 0))
        batches = self._batch[segments]
        return series[segments], self._worker[batches], self._order.take(batches), self._last_of(segments)

    def first_not_finite(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return which batch has the first value of each row that is not finite, and how many such it has.

        Each of `rows`, places in `touched`, has one.
        """
        assert self.finite is not None
        places = np.flatnonzero(~self.finite)
        firsts = places[np.searchsorted(places, self._starts[rows])]
        segments = np.searchsorted(self._segment_ends, firsts, "right")
        return self._batch[segments], (self._segment_counts - self._finite_in_segments())[segments]


def _counted(chosen: NDArray[np.bool_], starts: Ints) -> Ints:
    counts: Ints = np.add.reduceat(chosen.astype(np.int64), starts)
    return counts
