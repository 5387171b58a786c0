"""The plugin contract of stats-aggregator; it needs the standard library alone."""

from .adapter import Adapter
from .aggregation import StatsAggregationMethod, StatsPropertyType
from .buckets import Buckets
from .names import ADAPTER_GROUP, ML_AGENTS_STATS_WRITER, STATS_WRITER_GROUP, name_fault, path_part
from .options import CheckpointSettings, RunOptions
from .period import Period, PeriodSummaries
from .summary import StatSummary
from .values import Values
from .writer import StatsWriter

__version__ = "0.1.0"

__all__ = [
    "StatsWriter",
    "StatSummary",
    "Period",
    "PeriodSummaries",
    "StatsAggregationMethod",
    "StatsPropertyType",
    "RunOptions",
    "CheckpointSettings",
    "Buckets",
    "Values",
    "path_part",
    "name_fault",
    "STATS_WRITER_GROUP",
    "ML_AGENTS_STATS_WRITER",
    "ADAPTER_GROUP",
    "Adapter",
]
