"""summarize: the summary of a few values, computed the slow and exact way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..aggregation import StatsAggregationMethod
from ..buckets import Buckets
from ..summary import StatSummary
from ..values import Values


def summarize(
    values: Iterable[float],
    aggregation: StatsAggregationMethod = StatsAggregationMethod.AVERAGE,
    *,
    workers: str | Sequence[str] = "worker-0",
    exact: bool = True,
) -> StatSummary:
    """Return the summary that a daemon would make of `values`, which are in the order of arrival.

    `workers` names who sent each value, or is one name for all. With `exact=False` the summary is as past the
    daemon's `retain_values`: without `full_dist`, its percentiles from buckets. Sums are by `math.fsum`, so
    every field is the exact one, rounded once or twice.
    """
    given = [float(value) for value in values]
    names = [workers] * len(given) if isinstance(workers, str) else list(workers)
    if len(names) != len(given):
        raise ValueError(f"workers has {len(names)} names for {len(given)} values; give one a value")
    finite = [(value, name) for value, name in zip(given, names, strict=True) if math.isfinite(value)]
    if aggregation is StatsAggregationMethod.MOST_RECENT:
        finite = _latest_of_each_worker(finite)
    kept = [value for value, _ in finite]
    mean, std = _moments(kept)
    lowest = min(finite, key=lambda pair: pair[0], default=(math.nan, ""))
    highest = max(finite, key=lambda pair: pair[0], default=(math.nan, ""))
    return StatSummary(
        aggregation_method=aggregation,
        num=len(kept),
        mean=mean,
        std=std,
        sum=math.fsum(kept),
        min=lowest[0],
        max=highest[0],
        last=kept[-1] if kept else math.nan,
        num_nan=sum(map(math.isnan, given)),
        num_inf=sum(map(math.isinf, given)),
        min_worker=lowest[1],
        max_worker=highest[1],
        full_dist=Values(kept) if exact else Values(),
        exact=exact,
        buckets=Buckets.of(kept),
    )


def _latest_of_each_worker(values: list[tuple[float, str]]) -> list[tuple[float, str]]:
    latest: dict[str, float] = {}
    for value, name in values:
        latest.pop(name, None)  # so that the dictionary's order is that of the latest values
        latest[name] = value
    return [(value, name) for name, value in latest.items()]


def _moments(values: list[float]) -> tuple[float, float]:
    """Return mean and population std, about an origin: without one, a large offset eats the digits of std."""
    if not values:
        return math.nan, math.nan
    origin = values[0]
    mean_from_origin = math.fsum(value - origin for value in values) / len(values)
    deviations = [value - origin - mean_from_origin for value in values]
    return math.fsum(values) / len(values), math.sqrt(math.fsum(d * d for d in deviations) / len(values))
