"""ML-Agents' enums; plain ones, since plugins print, compare and look them up as such."""

from __future__ import annotations

from enum import Enum


class StatsAggregationMethod(Enum):
    """How ML-Agents summarises a series."""

    AVERAGE = 0
    MOST_RECENT = 1
    SUM = 2
    HISTOGRAM = 3


class StatsPropertyType(Enum):
    """What kind of fact a property is."""

    HYPERPARAMETERS = "hyperparameters"
    SELF_PLAY = "selfplay"
