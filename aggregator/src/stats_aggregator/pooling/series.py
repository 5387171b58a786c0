"""SeriesTable: which column of an open period belongs to which key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_client.wire import decode_series

from .remembered import LIMIT_BYTES, Remembered

OVERFLOW = "_overflow"
"""The series, and the category, that takes what there is no room for under its own name."""

_AVERAGE = int(StatsAggregationMethod.AVERAGE)


class SeriesCache:
    """The parsed `series` fields seen of late: workers that run the same code share one entry."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._parsed: Remembered[tuple[tuple[str, int], ...]] = Remembered(limit_bytes)

    def get(self, packed: bytes) -> tuple[tuple[str, int], ...]:
        """Return the pairs of `packed`, names unchecked; raise WireError where it has none."""
        found = self._parsed.get(packed)
        return self._parsed.put(packed, decode_series(packed)) if found is None else found


class Disagreement(NamedTuple):
    """Two workers that sent one key with different aggregations within a period."""

    key: str
    worker: str
    taken: StatsAggregationMethod
    other_worker: str
    refused: StatsAggregationMethod


class Overflow(NamedTuple):
    """The first key for which a period had no column of its own any more, and who sent it."""

    key: str
    worker: str


class SeriesTable:
    """The series of one open period: a column for each key, in the order in which they came.

    Past `max_series` of them, values of further keys share the series OVERFLOW: totals stay right, and memory
    bounded, where keys are made of what changes.
    """

    def __init__(self, max_series: int) -> None:
        self._max_series = max_series
        self.overflows: list[Overflow] = []
        """The first of the period."""
        self.overflowing = False
        """Whether any key shares a series."""
        self.keys: list[str] = []
        self.aggregations: list[int] = []
        self._first_worker: list[str] = []
        self._column_of: dict[str, int] = {}
        self._columns_of: Remembered[NDArray[np.int64]] = Remembered()
        self.disagreements: list[Disagreement] = []
        """The first of each key."""
        self._disagreeing: set[str] = set()

    def __len__(self) -> int:
        return len(self.keys)

    def columns(self, packed: bytes, cache: SeriesCache, worker: str) -> NDArray[np.int64]:
        """Return the columns of a batch's series; new keys get new ones.

        The first aggregation of a key in the period stands; the first batch that says another is noted.
        """
        found = self._columns_of.get(packed)
        if found is not None:
            return found
        columns = []
        for key, aggregation in cache.get(packed):
            column = self._column(key, aggregation, worker)
            columns.append(column)
            if self.overflowing and self.keys[column] != key:
                continue
            taken = self.aggregations[column]
            if aggregation != taken and key not in self._disagreeing:
                self._disagreeing.add(key)
                methods = StatsAggregationMethod(taken), StatsAggregationMethod(aggregation)
                self.disagreements.append(
                    Disagreement(key, self._first_worker[column], methods[0], worker, methods[1])
                )
        return self._columns_of.put(packed, np.array(columns, dtype=np.int64))

    def _column(self, key: str, aggregation: int, worker: str) -> int:
        column = self._column_of.get(key)
        if column is not None:
            return column
        if len(self.keys) < self._max_series:
            return self._new_column(key, aggregation, worker)
        if not self.overflowing:
            self.overflowing = True
            self.overflows.append(Overflow(key, worker))
        column = self._column_of.get(OVERFLOW)
        return self._new_column(OVERFLOW, _AVERAGE, worker) if column is None else column

    def _new_column(self, key: str, aggregation: int, worker: str) -> int:
        column = self._column_of[key] = len(self.keys)
        self.keys.append(key)
        self.aggregations.append(aggregation)
        self._first_worker.append(worker)
        return column

    def dump(self) -> list[Any]:
        """Return all of it in plain types, for `load`."""
        return [self.keys, self.aggregations, self._first_worker, self.overflowing]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take over what another one dumped."""
        keys, aggregations, first_workers, self.overflowing = dumped
        for column in zip(keys, aggregations, first_workers, strict=True):
            self._new_column(*column)
