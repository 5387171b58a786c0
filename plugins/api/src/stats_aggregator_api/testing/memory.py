"""MemoryWriter: a writer that keeps what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..aggregation import StatsAggregationMethod, StatsPropertyType
from ..period import PeriodSummaries
from ..summary import StatSummary
from ..writer import StatsWriter


class AddedStat(NamedTuple):
    """One call of `on_add_stat`."""

    category: str
    key: str
    value: float
    aggregation: StatsAggregationMethod


class AddedProperty(NamedTuple):
    """One call of `add_property`."""

    category: str
    property_type: StatsPropertyType
    value: Any


class MemoryWriter(StatsWriter):
    """Keeps every call in a list of its kind, in the order of the calls."""

    def __init__(self) -> None:
        self.periods: list[PeriodSummaries] = []
        self.stats: list[AddedStat] = []
        self.properties: list[AddedProperty] = []
        self.closed = False

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Keep `values`, which carry category and step in their period."""
        if not isinstance(values, PeriodSummaries):
            raise TypeError(f"values is a {type(values).__name__}; a PeriodSummaries is promised")
        if (category, step) != (values.period.category, values.period.step):
            raise ValueError(f"category {category!r} and step {step} are not those of {values.period}")
        self.periods.append(values)

    def on_add_stat(self, category: str, key: str, value: float, aggregation: StatsAggregationMethod) -> None:
        """Keep the value."""
        self.stats.append(AddedStat(category, key, value, aggregation))

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Keep the property."""
        self.properties.append(AddedProperty(category, property_type, value))

    def close(self) -> None:
        """Remember that the end was said."""
        self.closed = True
