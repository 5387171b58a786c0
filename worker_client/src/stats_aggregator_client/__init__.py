"""Push raw stats from any worker process to one stats-aggregator daemon."""

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType

from .client import StatsClient
from .default import default_client
from .errors import SettingError, StatsClientError
from .reporter import StatsReporter
from .statistics import ClientStatistics

__all__ = [
    "StatsReporter",
    "StatsClient",
    "StatsAggregationMethod",
    "StatsPropertyType",
    "ClientStatistics",
    "default_client",
    "StatsClientError",
    "SettingError",
]
