"""How a producer wants a series summarised, and the kinds of properties."""

from __future__ import annotations

from enum import Enum, IntEnum


class StatsAggregationMethod(IntEnum):
    """Which field of a summary is its headline; chosen by the producer.

    The first four are ML-Agents' own, with its values. They travel on the wire as these integers.
    """

    AVERAGE = 0
    """The mean over all values of all workers."""
    MOST_RECENT = 1
    """The latest value; the other fields pool the latest value of each worker."""
    SUM = 2
    """The total over all workers."""
    HISTOGRAM = 3
    """The mean; writers that can draw the distribution do."""
    MIN = 4
    """The smallest value."""
    MAX = 5
    """The greatest value."""


class StatsPropertyType(Enum):
    """What kind of fact a property is."""

    HYPERPARAMETERS = "hyperparameters"
    SELF_PLAY = "selfplay"
