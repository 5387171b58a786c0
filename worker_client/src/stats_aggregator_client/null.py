"""The client that is off: every call does nothing, at once."""

from __future__ import annotations

from array import array
from contextlib import nullcontext
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from .columns import NullPlaces
from .increments import Increments
from .steps import Steps


class NullBuffer:
    """Stands where a CategoryBuffer stands, and keeps nothing."""

    def __init__(self) -> None:
        self.places = [NullPlaces() for _ in StatsAggregationMethod]
        self.steps = Steps(self.write, self.rewind, nullcontext())
        self.increments = Increments()

    def add(self, key: Any, value: Any, aggregation: Any) -> None:
        """Do nothing."""

    def extend(self, key: Any, values: Any, aggregation: Any) -> None:
        """Do nothing."""

    def add_property(self, property_type: Any, value: Any) -> None:
        """Do nothing."""

    def set_step(self, step: Any) -> None:
        """Do nothing."""

    def add_steps(self, steps: Any) -> None:
        """Do nothing."""

    def close_by_write(self) -> None:
        """Do nothing."""

    def write(self, step: Any) -> None:
        """Do nothing."""

    def rewind(self, step: Any) -> None:
        """Do nothing."""

    def own_values(self, key: str) -> tuple[array[float], StatsAggregationMethod]:
        """Return no values."""
        return array("d"), StatsAggregationMethod.AVERAGE
