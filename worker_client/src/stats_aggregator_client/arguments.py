"""What callers hand in, made ours: aggregations and steps."""

from __future__ import annotations

from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from .wire import INT64_MAX


def to_aggregation(value: Any) -> int | None:
    """Return the integer of an aggregation, or None where it is none.

    Takes ours, ML-Agents' own enum, and the integer itself.
    """
    number = getattr(value, "value", value)
    if isinstance(number, int) and 0 <= number < len(StatsAggregationMethod):
        return int(number)
    return None


def to_step(value: Any) -> int | None:
    """Return `value` as a step, or None where it is none: an integer from 0 up that fits 63 bits."""
    try:
        step = int(value)
    except Exception:  # noqa: BLE001 - a foreign number may raise anything, and training must not see it
        return None
    return step if 0 <= step <= INT64_MAX else None
