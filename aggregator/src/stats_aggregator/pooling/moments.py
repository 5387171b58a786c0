"""Moments: num, sum, mean, spread, extremes and last of every series of an open period.

Means and spreads are kept about an origin, the first finite value of the series in the period, and merged by
Chan, Golub and LeVeque's update ("Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
1979): values around 1e15 with a spread of 1 keep all their digits. Sums are compensated (Neumaier 1974).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .joined import Joined
from .joined_partials import JoinedPartials
from .order import Order
from .segments import Floats, Ints, grown

_COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "num": (np.int64, 0),
    "num_nan": (np.int64, 0),
    "num_inf": (np.int64, 0),
    "origin": (np.float64, np.nan),
    "mean_from_origin": (np.float64, 0.0),
    "m2": (np.float64, 0.0),
    "sum": (np.float64, 0.0),
    "sum_error": (np.float64, 0.0),
    "min": (np.float64, np.inf),
    "max": (np.float64, -np.inf),
    "min_worker": (np.int64, -1),
    "max_worker": (np.int64, -1),
    "last": (np.float64, np.nan),
    "last_time": (np.int64, -1),
    "last_session_high": (np.uint64, 0),
    "last_session_low": (np.uint64, 0),
    "last_seq": (np.int64, 0),
}
_Rows = Ints | slice
_LAST_ORDER = ("last_time", "last_session_high", "last_session_low", "last_seq")


class Moments:
    """Columns with one row a series; a row is empty until its first value."""

    num: Ints
    num_nan: Ints
    num_inf: Ints
    origin: Floats
    mean_from_origin: Floats
    m2: Floats
    sum: Floats
    sum_error: Floats
    min: Floats
    max: Floats
    min_worker: Ints
    max_worker: Ints
    last: Floats

    def __init__(self, rows: int = 8) -> None:
        for name, (kind, empty) in _COLUMNS.items():
            setattr(self, name, np.full(rows, empty, dtype=kind))

    def grow(self, rows: int) -> None:
        """Make room for at least `rows` series."""
        for name, (_, empty) in _COLUMNS.items():
            setattr(self, name, grown(getattr(self, name), rows, empty))

    def add(self, joined: Joined | JoinedPartials) -> None:
        """Add a group; `grow` has made room for all its series."""
        rows = _rows_of(joined.touched)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # sums past 1.8e308 are infinite, as they should be
            self._add_spread(rows, joined)
            self._add_sum(rows, joined)
        self._add_extremes(rows, joined)
        self._add_last(rows, joined)

    def _add_spread(self, rows: _Rows, joined: Joined | JoinedPartials) -> None:
        added = joined.added
        had = self.num[rows]
        if not had.all():
            self.origin[rows] = np.where((had == 0) & (added > 0), joined.origin, self.origin[rows])
        mean, m2 = joined.spread(self.origin[rows])
        both = np.maximum(had + added, 1)
        delta = mean - self.mean_from_origin[rows]
        # Without a finite value there is no mean to merge, and `added` of 0 leaves everything as it was.
        self.mean_from_origin[rows] += np.where(added > 0, delta * (added / both), 0.0)
        self.m2[rows] += m2 + np.where(added > 0, delta * delta * (had * (added / both)), 0.0)
        self.num[rows] += added
        if joined.num_nan is not None and joined.num_inf is not None:
            self.num_nan[rows] += joined.num_nan
            self.num_inf[rows] += joined.num_inf

    def _add_sum(self, rows: _Rows, joined: Joined | JoinedPartials) -> None:
        added = joined.sums
        had = self.sum[rows]
        total = had + added
        larger = np.abs(had) >= np.abs(added)
        self.sum_error[rows] += np.where(larger, (had - total) + added, (added - total) + had)
        self.sum[rows] = total

    def _add_extremes(self, rows: _Rows, joined: Joined | JoinedPartials) -> None:
        for name, reduce, neutral in (("min", np.minimum, np.inf), ("max", np.maximum, -np.inf)):
            column, workers = getattr(self, name), getattr(self, f"{name}_worker")
            extremes = joined.extremes(reduce, neutral)
            better = reduce(extremes, column[rows]) != column[rows]
            if better.any():  # extremes are rare
                column[rows] = np.where(better, extremes, column[rows])
                workers[rows] = np.where(better, joined.senders(reduce, extremes), workers[rows])

    def _add_last(self, rows: _Rows, joined: Joined | JoinedPartials) -> None:
        order, last = joined.newest()
        later = order.after(self.last_order(rows)) & (joined.added > 0)
        self.last[rows] = np.where(later, last, self.last[rows])
        for name, column in zip(_LAST_ORDER, order, strict=True):
            getattr(self, name)[rows] = np.where(later, column, getattr(self, name)[rows])

    def last_order(self, rows: _Rows) -> Order:
        """Return when, and by whom, `last` of these rows was sent."""
        return Order(*(getattr(self, name)[rows] for name in _LAST_ORDER))

    def seen(self, size: int) -> NDArray[np.bool_]:
        """Return which of the first `size` series have any value."""
        seen: NDArray[np.bool_] = (self.num + self.num_nan + self.num_inf)[:size] > 0
        return seen

    def dump(self, size: int) -> list[bytes]:
        """Return the first `size` rows as bytes, for `load`."""
        return [getattr(self, name)[:size].tobytes() for name in _COLUMNS]

    def load(self, dumped: Sequence[bytes]) -> None:
        """Take over the rows that another one dumped."""
        for (name, (kind, _)), packed in zip(_COLUMNS.items(), dumped, strict=True):
            rows = np.frombuffer(packed, dtype=kind)
            getattr(self, name)[: len(rows)] = rows


def _rows_of(touched: Ints) -> _Rows:
    """Return where these series stand, ascending; of all the first ones nothing is copied then."""
    return slice(len(touched)) if touched[-1] == len(touched) - 1 else touched
