"""Latest: the newest value of each worker, for the MOST_RECENT series of an open period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .joined import Floats, Ints, Joined, Order

_COMPACT_AT = 1 << 16
_MAX_CHUNKS = 1 << 10


class Latest:
    """Rows of (series, worker, order, value); of a series and worker the latest row counts."""

    def __init__(self) -> None:
        self._chunks: list[tuple[Ints, Ints, Order, Floats]] = []
        self._rows = 0
        self._compact_at = _COMPACT_AT

    def add(self, joined: Joined, most_recent: NDArray[np.bool_]) -> None:
        """Add the last finite value of each segment whose series is MOST_RECENT."""
        segments = np.flatnonzero(most_recent[joined.series] & (joined.num > 0))
        if not len(segments):
            return
        batch = joined.batch[segments]
        values = joined.values[joined.last_finite[segments]]
        self._chunks.append((joined.series[segments], joined.worker[batch], joined.order.take(batch), values))
        self._rows += len(segments)
        if self._rows > self._compact_at or len(self._chunks) > _MAX_CHUNKS:
            self.rows()
            # Twice what is left, so that compacting costs a bounded share of adding.
            self._compact_at = max(_COMPACT_AT, 2 * self._rows)

    def rows(self) -> tuple[Ints, Ints, Floats]:
        """Return series, worker and value of the latest rows, ascending by series, then by worker."""
        if not self._chunks:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        series, workers, values = (np.concatenate([chunk[i] for chunk in self._chunks]) for i in (0, 1, 3))
        order = Order(
            *(np.concatenate(columns) for columns in zip(*(c[2] for c in self._chunks), strict=True))
        )
        rows = order.sorted_rows(series, workers)
        series, workers = series[rows], workers[rows]
        # The last row of each series and worker is its latest.
        last = np.append((series[1:] != series[:-1]) | (workers[1:] != workers[:-1]), True)
        kept = rows[last]
        series, workers, values = series[last], workers[last], values[kept]
        self._chunks = [(series, workers, order.take(kept), values)]
        self._rows = len(kept)
        return series, workers, values
