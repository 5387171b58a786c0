"""Records: what the store takes in and gives out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from stats_aggregator_api import (
    Buckets,
    Period,
    PeriodSummaries,
    StatsAggregationMethod,
    StatSummary,
    Values,
)


class SummaryRow(NamedTuple):
    """One series of a period. `bucket_keys` are int32, `bucket_counts` int64, `full_dist` float64.

    All three are little-endian. `full_dist` is empty where not `exact`, and once every writer has passed.
    """

    key: str
    aggregation: int
    num: int
    mean: float
    std: float
    sum: float
    min: float
    max: float
    last: float
    num_nan: int
    num_inf: int
    min_worker: str
    max_worker: str
    exact: bool
    mantissa_bits: int
    bucket_keys: bytes
    bucket_counts: bytes
    full_dist: bytes


@dataclass(frozen=True, slots=True)
class StoredPeriod:
    """A period as writers get it. `position` orders it among all that is stored."""

    position: int
    summaries: PeriodSummaries
    num_values: int
    stored_ns: int

    def __str__(self) -> str:
        period = self.summaries.period
        return f"period {period.category} #{period.ordinal} ({period.id})"


@dataclass(frozen=True, slots=True)
class StoredProperty:
    """A property as writers get it; `type` is the value of a StatsPropertyType."""

    position: int
    category: str
    type: str
    value: Any

    def __str__(self) -> str:
        return f"property {self.type} of {self.category}"


class ClosedPeriod(NamedTuple):
    """A period on its way into the store; `num_values` counts NaN and infinities too."""

    period: Period
    num_values: int
    rows: Iterable[SummaryRow]


class NewProperty(NamedTuple):
    """A property on its way into the store; `session` and `seq` tell who said it first."""

    run: str
    category: str
    type: str
    value: object
    """Made of plain JSON types."""
    session: bytes
    seq: int


class HeardRun(NamedTuple):
    """A run that was heard of, on its way into the store."""

    run: str
    heard_ns: int


Entry = ClosedPeriod | NewProperty | HeardRun


class RunRow(NamedTuple):
    """A run: when it was first and last heard of, and the position of its newest entry (0: none)."""

    run: str
    started_ns: int
    touched_ns: int
    closed: bool
    last_position: int


def summary_of(row: SummaryRow) -> StatSummary:
    """Return what a writer gets for a stored series. SQLite keeps NaN as NULL, which comes back as NaN."""
    num = row.num
    # After the release of full_dist, percentiles come from the buckets.
    exact = bool(row.exact and (row.full_dist or num == 0))
    return StatSummary(
        aggregation_method=_METHODS[row.aggregation],
        num=num,
        mean=_nan(row.mean),
        std=_nan(row.std),
        sum=_nan(row.sum),
        min=_nan(row.min),
        max=_nan(row.max),
        last=_nan(row.last),
        num_nan=row.num_nan,
        num_inf=row.num_inf,
        min_worker=row.min_worker,
        max_worker=row.max_worker,
        full_dist=Values(row.full_dist),
        exact=exact,
        buckets=Buckets(array("i", row.bucket_keys), array("q", row.bucket_counts), row.mantissa_bits),
    )


_METHODS = {int(method): method for method in StatsAggregationMethod}


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
