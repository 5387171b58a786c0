"""What callers hand in, made ours: aggregations, properties and steps."""

from __future__ import annotations

from typing import Any

from stats_aggregator_api import StatsAggregationMethod, name_fault

from .lane import Note
from .plain import to_plain
from .wire import INT64_MAX, Kind


def to_aggregation(value: Any) -> int | None:
    """Return the integer of an aggregation, or None where it is none.

    Takes ours, ML-Agents' own enum, and the integer itself.
    """
    number = getattr(value, "value", value)
    if isinstance(number, int) and 0 <= number < len(StatsAggregationMethod):
        return int(number)
    return None


def to_property(property_type: Any, value: Any) -> Note | None:
    """Return a note of a fact that is no number, or None where its type is none or it is too large."""
    name = getattr(property_type, "value", property_type)
    found = to_plain(value)
    if not isinstance(name, str) or name_fault(name) or found is None:
        return None
    plain, size = found
    return Note(0, Kind.PROPERTY, type=name, value=plain, cost_bytes=size + 1000)


def to_step(value: Any) -> int | None:
    """Return `value` as a step, or None where it is none: an integer from 0 up that fits 63 bits."""
    try:
        step = int(value)
    except Exception:  # noqa: BLE001 - a foreign number may raise anything, and training must not see it
        return None
    return step if 0 <= step <= INT64_MAX else None
