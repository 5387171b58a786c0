"""Validity: whether a message that decodes also makes sense; what does not is refused for good."""

from __future__ import annotations

import numpy as np

from stats_aggregator_api import StatsPropertyType, name_fault
from stats_aggregator_client.wire import Batch, Partial, Property, RejectCode, Rewind, WireError, Write

from ..pooling.part_table import PartTable
from ..pooling.remembered import Remembered
from ..pooling.series import SeriesCache

_PROPERTY_TYPES = frozenset(kind.value for kind in StatsPropertyType)
_REMEMBERED = 4096
_MAX_DEPTH = 32


class Validator:
    """Checks messages; what was seen a moment ago is not checked again."""

    def __init__(self, series_cache: SeriesCache) -> None:
        self._series_cache = series_cache
        self._categories: set[str] = set()
        self._totals: Remembered[int] = Remembered()

    def check(self, message: Batch | Partial | Property | Write | Rewind) -> None:
        """Raise WireError where the message is unfit."""
        if message.category not in self._categories:
            self._check_category(message.category)
        if isinstance(message, Batch):
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
        fault = name_fault(category)
        if fault:
            raise WireError(RejectCode.NAME, f"category {fault}")
        if len(self._categories) >= _REMEMBERED:
            self._categories.clear()
        self._categories.add(category)

    def _check_columns(self, batch: Batch) -> None:
        series = self._series_cache.get(batch.series) if batch.series else ()
        if 4 * len(series) != len(batch.counts):
            raise WireError(RejectCode.COLUMN, f"{len(series)} series, but {len(batch.counts) // 4} counts")
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
        series = self._series_cache.get(partial.series) if partial.series else ()
        if len(series) != len(partial.parts):
            raise WireError(RejectCode.COLUMN, f"{len(series)} series, but {len(partial.parts)} parts")
        PartTable(partial)

    def _total(self, packed: bytes) -> int:
        counts = np.frombuffer(packed, dtype="<u4")
        if not counts.all():
            raise WireError(RejectCode.COLUMN, "a count is 0; a series without values is left out")
        return self._totals.put(packed, int(counts.sum(dtype=np.int64)))


def _nests_deeper(value: object, levels: int) -> bool:
    """Return whether a value has arrays or maps within each other past so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else None
    if inner is None:
        return False
    return levels == 0 or any(_nests_deeper(found, levels - 1) for found in inner)
