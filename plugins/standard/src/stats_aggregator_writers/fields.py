"""What the writers say of a summary, under the same names."""

from __future__ import annotations

from collections.abc import Mapping

from stats_aggregator_api import Period, PeriodSummaries, StatSummary

HIDDEN_KEYS = frozenset({"Is Training", "Step"})
"""Keys of the ancestor's trainers that are no measurements; people are not shown them."""

PERCENTILES = (5, 25, 50, 75, 95)

SERIES_FIELDS = (
    "aggregation", "value", "num", "mean", "std", "sum", "min", "max", "last", "num_nan", "num_inf",
    *(f"p{q}" for q in PERCENTILES), "exact", "percentile_error", "min_worker", "max_worker",
)  # fmt: skip


def series_fields(summary: StatSummary) -> dict[str, str | float | bool]:
    """Return SERIES_FIELDS of `summary`, in that order; percentiles are NaN where it has no finite value."""
    return {
        "aggregation": summary.aggregation_method.name,
        "value": summary.aggregated_value,
        "num": summary.num,
        "mean": summary.mean,
        "std": summary.std,
        "sum": summary.sum,
        "min": summary.min,
        "max": summary.max,
        "last": summary.last,
        "num_nan": summary.num_nan,
        "num_inf": summary.num_inf,
        **{f"p{q}": summary.percentile(q) for q in PERCENTILES},
        "exact": summary.exact,
        "percentile_error": summary.percentile_error,
        "min_worker": summary.min_worker,
        "max_worker": summary.max_worker,
    }


def period_of(values: Mapping[str, StatSummary]) -> Period:
    """Return the period that `values` carries; every daemon of this contract hands out PeriodSummaries."""
    if not isinstance(values, PeriodSummaries):
        raise TypeError(f"values is a {type(values).__name__} without a period, not PeriodSummaries")
    return values.period
