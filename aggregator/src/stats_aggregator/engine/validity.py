"""Validity: whether a message that decodes also makes sense; what does not is refused for good.

Names are checked here alone: what was taken stays, though a later version may refuse such a name.
"""

from __future__ import annotations

import numpy as np

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType, name_fault
from stats_aggregator_client.wire import Batch, Partial, Property, RejectCode, Rewind, WireError, Write

from ..pooling.part_table import PartTable
from ..pooling.remembered import Remembered
from ..pooling.series import SeriesCache

_PROPERTY_TYPES = frozenset(kind.value for kind in StatsPropertyType)
_AGGREGATIONS = frozenset(int(method) for method in StatsAggregationMethod)
_REMEMBERED = 4096
_MAX_DEPTH = 32


class Validator:
    """Checks messages; what was seen a moment ago is not checked again."""

    def __init__(self, series_cache: SeriesCache) -> None:
        self._series_cache = series_cache
        self._categories: set[str] = set()
        self._widths: Remembered[int] = Remembered()
        """How many series there are, by what was checked of late."""
        self._totals: Remembered[int] = Remembered()

    def check(self, message: Batch | Partial | Property | Write | Rewind) -> None:
        """Raise WireError where the message is unfit."""
        if message.category not in self._categories:
            self._check_category(message.category)
        if type(message) is Batch:
            self._check_columns(message)
        elif isinstance(message, Partial):
            self._check_partial(message)
        elif isinstance(message, Property):
            self._check_property(message)

    def _check_property(self, message: Property) -> None:
        if message.type not in _PROPERTY_TYPES:
            known = ", ".join(sorted(_PROPERTY_TYPES))
            raise WireError(RejectCode.PROPERTY, f"property type {message.type[:80]!r}; known are {known}")
        # What unpacks is not yet what JSON, or a repr, can follow.
        if _nests_deeper(message.value, _MAX_DEPTH):
            raise WireError(
                RejectCode.PROPERTY, f"a property is nested more than {_MAX_DEPTH} deep; at most that is kept"
            )

    def _check_category(self, category: str) -> None:
        _check_name("category", category)
        if len(self._categories) >= _REMEMBERED:
            self._categories.clear()
        self._categories.add(category)

    def _num_series(self, packed: bytes) -> int:
        """Return how many series there are; what they are called, and how pooled, is checked once."""
        num = self._widths.get(packed)
        if num is not None:
            return num
        series = self._series_cache.get(packed)
        for key, aggregation in series:
            _check_name("key", key)
            if aggregation not in _AGGREGATIONS:
                text = f"key {key!r} has aggregation {aggregation}; 0 to 5 are known"
                raise WireError(RejectCode.SERIES, text)
        return self._widths.put(packed, len(series))

    def _check_columns(self, batch: Batch) -> None:
        num_series = self._num_series(batch.series)
        if 4 * num_series != len(batch.counts):
            raise WireError(RejectCode.COLUMN, f"{num_series} series, but {len(batch.counts) // 4} counts")
        # Workers in step send the same counts over and over.
        total = self._totals.get(batch.counts)
        if total is None:
            total = self._total(batch.counts)
        if 8 * total != len(batch.values):
            raise WireError(
                RejectCode.COLUMN,
                f"the counts add up to {total}, but there are {len(batch.values) // 8} values",
            )

    def _check_partial(self, partial: Partial) -> None:
        num_series = self._num_series(partial.series)
        if num_series != len(partial.parts):
            raise WireError(RejectCode.COLUMN, f"{num_series} series, but {len(partial.parts)} parts")
        for worker in {*partial.workers, *PartTable(partial).workers}:
            _check_name("a worker of a PARTIAL", worker)

    def _total(self, packed: bytes) -> int:
        counts = np.frombuffer(packed, dtype="<u4")
        if not counts.all():
            raise WireError(RejectCode.COLUMN, "a count is 0; a series without values is left out")
        return self._totals.put(packed, int(counts.sum(dtype=np.int64)))


def _check_name(what: str, name: str) -> None:
    fault = name_fault(name)
    if fault:
        raise WireError(RejectCode.NAME, f"{what} {fault}")


def _nests_deeper(value: object, levels: int) -> bool:
    """Return whether a value has arrays or maps within each other past so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else None
    if inner is None:
        return False
    return levels == 0 or any(_nests_deeper(found, levels - 1) for found in inner)
