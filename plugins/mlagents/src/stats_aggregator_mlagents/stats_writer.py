"""StatsWriter: the base class of ML-Agents' plugins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .aggregation import StatsAggregationMethod, StatsPropertyType
from .stats_summary import StatsSummary


class StatsWriter(ABC):
    """What a plugin implements. The daemon wraps it, so its own contract holds for a plugin too."""

    def on_add_stat(  # noqa: B027 - a writer overrides what it wants to hear of
        self,
        category: str,
        key: str,
        value: float,
        aggregation: StatsAggregationMethod = StatsAggregationMethod.AVERAGE,
    ) -> None:
        """Take one value as it arrives."""

    @abstractmethod
    def write_stats(self, category: str, values: dict[str, StatsSummary], step: int) -> None:
        """Take the summaries of one period of `category`, by key."""

    def add_property(  # noqa: B027
        self, category: str, property_type: StatsPropertyType, value: Any
    ) -> None:
        """Take a fact that is no number."""
