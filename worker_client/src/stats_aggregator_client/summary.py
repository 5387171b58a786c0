"""The summary of this worker's own values; the daemon's is over all workers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import stats_aggregator_api as api  # whose records are imported when they are used: few workers ask


def summarize(values: Sequence[float], aggregation: api.StatsAggregationMethod) -> api.StatSummary:
    """Return the summary of `values` in their order; a MOST_RECENT series is its latest value alone."""
    finite = [value for value in values if math.isfinite(value)]
    num_nan = sum(1 for value in values if value != value)
    pooled = finite[-1:] if aggregation == api.StatsAggregationMethod.MOST_RECENT else finite
    num = len(pooled)
    mean = _mean(pooled)
    return api.StatSummary(
        aggregation_method=aggregation,
        num=num,
        mean=mean,
        std=math.sqrt(math.fsum((value - mean) ** 2 for value in pooled) / num) if num else math.nan,
        sum=_sum(pooled),
        min=min(pooled, default=math.nan),
        max=max(pooled, default=math.nan),
        last=pooled[-1] if num else math.nan,
        num_nan=num_nan,
        num_inf=len(values) - len(finite) - num_nan,
        full_dist=api.Values(pooled),
        buckets=api.Buckets.of(pooled),
    )


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)


def _mean(values: list[float]) -> float:
    if not values:
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)
