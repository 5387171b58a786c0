"""SeriesTable: which column of an open period belongs to which key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stats_aggregator_api import StatsAggregationMethod, name_fault
from stats_aggregator_client.wire import RejectCode, WireError, decode_series

_AGGREGATIONS = frozenset(int(method) for method in StatsAggregationMethod)


def checked_series(packed: bytes) -> tuple[tuple[str, int], ...]:
    """Return the `(key, aggregation)` pairs of a batch's `series`; raise WireError where one is unfit."""
    series = decode_series(packed)
    for key, aggregation in series:
        fault = name_fault(key)
        if fault:
            raise WireError(RejectCode.NAME, f"key {fault}")
        if aggregation not in _AGGREGATIONS:
            raise WireError(RejectCode.SERIES, f"key {key!r} has aggregation {aggregation}; 0 to 5 are known")
    return series


class SeriesCache:
    """The parsed `series` fields seen of late: workers that run the same code share one entry."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._parsed: dict[bytes, tuple[tuple[str, int], ...]] = {}

    def get(self, packed: bytes) -> tuple[tuple[str, int], ...]:
        """Return the pairs of `packed`; raise WireError where it is none."""
        found = self._parsed.get(packed)
        if found is None:
            found = checked_series(packed)
            if len(self._parsed) >= self._limit:
                # The oldest entry goes: what is still in use comes back at the cost of one parse.
                del self._parsed[next(iter(self._parsed))]
            self._parsed[packed] = found
        return found


class Disagreement(NamedTuple):
    """Two workers that sent one key with different aggregations within a period."""

    key: str
    worker: str
    taken: StatsAggregationMethod
    other_worker: str
    refused: StatsAggregationMethod


class SeriesTable:
    """The series of one open period: a column for each key, in the order in which they came."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.aggregations: list[int] = []
        self._first_worker: list[str] = []
        self._column_of: dict[str, int] = {}
        self._columns_of: dict[bytes, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def columns(
        self, packed: bytes, cache: SeriesCache, worker: str, disagreements: list[Disagreement]
    ) -> NDArray[np.int64]:
        """Return the columns of a batch's series; new keys get new ones.

        The first aggregation of a key in the period stands; a batch that says another is noted.
        """
        found = self._columns_of.get(packed)
        if found is None:
            pairs = cache.get(packed)
            found = np.array([self._column(*pair, worker) for pair in pairs], dtype=np.int64)
            for (key, aggregation), column in zip(pairs, found.tolist(), strict=True):
                taken = self.aggregations[column]
                if aggregation != taken:
                    disagreements.append(
                        Disagreement(
                            key,
                            self._first_worker[column],
                            StatsAggregationMethod(taken),
                            worker,
                            StatsAggregationMethod(aggregation),
                        )
                    )
            self._columns_of[packed] = found
        return found

    def _column(self, key: str, aggregation: int, worker: str) -> int:
        column = self._column_of.get(key)
        if column is None:
            column = self._column_of[key] = len(self.keys)
            self.keys.append(key)
            self.aggregations.append(aggregation)
            self._first_worker.append(worker)
        return column
