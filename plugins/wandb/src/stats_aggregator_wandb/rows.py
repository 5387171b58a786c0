"""What becomes of a period as a row of W&B's history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import wandb

from stats_aggregator_api import Period, StatsAggregationMethod, StatSummary, path_part
from stats_aggregator_api.bucket import bucket_limits
from stats_aggregator_writers.fields import HIDDEN_KEYS, SERIES_FIELDS, series_fields

_NO_FIGURES = {"aggregation", "value", "exact", "percentile_error", "min_worker", "max_worker"}
EXTRAS = (*(name for name in SERIES_FIELDS if name not in _NO_FIGURES), "workers")
"""What the option `extra` can add for each key, as `KEY/NAME`."""

PERIOD_ID = "_period"
"""The column of a row's period id. Every other name has a category and a slash before it."""
STEP_KEY = "Step"
"""A category's step, under the one key that trainers use for it and that is no series of theirs."""

assert STEP_KEY in HIDDEN_KEYS  # else a key could take its column


def prefix(category: str) -> str:
    """Return what the names of a category begin with; none of its names is another category's."""
    return path_part(category) + "/"


def points(values: Mapping[str, StatSummary], period: Period, extra: Sequence[str]) -> dict[str, Any]:
    """Return the period's points by name.

    A series without a finite value has no point. A name that is a key's own is not given to another's extra.
    """
    shown = {key: summary for key, summary in values.items() if key not in HIDDEN_KEYS and summary.num}
    found: dict[str, Any] = {}
    for key, summary in shown.items():
        if extra:
            fields = {**series_fields(summary), "workers": period.workers_reporting}
            found |= {f"{key}/{name}": fields[name] for name in extra}
        if summary.aggregation_method is StatsAggregationMethod.HISTOGRAM:
            found[f"{key}_hist"] = histogram(summary)
    found |= {key: summary.aggregated_value for key, summary in shown.items()}
    start = prefix(period.category)
    return {start + key: value for key, value in found.items() if not _is_bare(value)}


def row(found: Mapping[str, Any], period: Period) -> dict[str, Any]:
    """Return points with the step, id and end of their period."""
    return {
        **found,
        prefix(period.category) + STEP_KEY: period.step,
        PERIOD_ID: period.id,
        "_timestamp": period.end / 1e9,
    }


def histogram(summary: StatSummary) -> wandb.Histogram:
    """Return the pooled distribution, neighbours merged until W&B takes the number of bins."""
    edges, counts = [summary.min], []
    for key, count in zip(summary.buckets.keys, summary.buckets.counts, strict=True):
        low, high = (
            min(max(limit, summary.min), summary.max)
            for limit in bucket_limits(key, summary.buckets.mantissa_bits)
        )
        if low > edges[-1]:
            edges.append(low)
            counts.append(0)
        edges.append(high)
        counts.append(int(count))
    while len(counts) > wandb.Histogram.MAX_LENGTH:
        edges = [*edges[:-1:2], edges[-1]]
        counts = [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    return wandb.Histogram(np_histogram=(counts, edges))


def config(value: Any) -> Any:
    """Return hyperparameters as W&B's config takes them: names are text, figures finite."""
    if isinstance(value, Mapping):
        return {str(name): config(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [config(part) for part in value]
    return str(value) if _is_bare(value) else value


def _is_bare(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
