"""Latest: the newest value of each worker, for the MOST_RECENT series of an open period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .joined import Joined
from .joined_partials import JoinedPartials
from .order import Order
from .segments import Floats, Ints

_COMPACT_AT = 1 << 16
_MAX_CHUNKS = 1 << 10


class Latest:
    """Rows of (series, worker, order, value); of a series and worker the latest row counts."""

    def __init__(self) -> None:
        self._chunks: list[tuple[Ints, Ints, Order, Floats]] = []
        self._rows = 0
        self._compact_at = _COMPACT_AT

    def add(self, joined: Joined | JoinedPartials, most_recent: NDArray[np.bool_]) -> None:
        """Add the last finite value of each worker for each series that is MOST_RECENT."""
        found = joined.latest(most_recent)
        if not len(found[0]):
            return
        self._chunks.append(found)
        self._rows += len(found[0])
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

    def dump(self) -> list[bytes]:
        """Return the latest rows as bytes, for `load`."""
        self.rows()
        return [column.tobytes() for chunk in self._chunks for column in (*chunk[:2], *chunk[2], chunk[3])]

    def load(self, dumped: Sequence[bytes]) -> None:
        """Take over the rows that another one dumped."""
        if not dumped:
            return
        kinds = (np.int64, np.int64, np.int64, np.uint64, np.uint64, np.int64, np.float64)
        columns: list[Any] = [np.frombuffer(packed, kind) for packed, kind in zip(dumped, kinds, strict=True)]
        self._chunks = [(columns[0], columns[1], Order(*columns[2:6]), columns[6])]
        self._rows = len(columns[0])
