"""The plugin contract of stats-aggregator; it needs the standard library alone.

Every worker imports this package too and needs little of it, so a name's module is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .aggregation import StatsAggregationMethod, StatsPropertyType
from .names import ADAPTER_GROUP, ML_AGENTS_STATS_WRITER, STATS_WRITER_GROUP, name_fault, path_part

if TYPE_CHECKING:
    from .adapter import Adapter
    from .buckets import Buckets
    from .options import CheckpointSettings, RunOptions
    from .period import Cause, Period, PeriodSummaries
    from .summary import StatSummary
    from .values import Values
    from .writer import StatsWriter

__version__ = "0.1.0"

__all__ = [
    "StatsWriter",
    "StatSummary",
    "Period",
    "PeriodSummaries",
    "Cause",
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

_MODULES = {
    "Adapter": "adapter",
    "Buckets": "buckets",
    "Cause": "period",
    "CheckpointSettings": "options",
    "Period": "period",
    "PeriodSummaries": "period",
    "RunOptions": "options",
    "StatSummary": "summary",
    "StatsWriter": "writer",
    "Values": "values",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
