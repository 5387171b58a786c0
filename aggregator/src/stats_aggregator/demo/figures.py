"""Figures: numbers and names of series as the demo prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

_NO_MEAN = {"SUM": "sum", "MAX": "max", "MIN": "min", "MOST_RECENT": "latest"}


def figures(values: Sequence[float | None]) -> list[str]:
    """Return the values of one row, with as many decimals each as the largest of them needs."""
    known = [value for value in values if value is not None]
    largest = max(map(abs, known), default=0.0)
    decimals = 1 if largest >= 100 else 2 if largest >= 1 else 4
    if all(value == int(value) for value in known):
        decimals = 0
    return ["-" if value is None else f"{value:,.{decimals}f}" for value in values]


def row_name(key: str, stat: Mapping[str, Any]) -> Text:
    """Return the last part of a key, with what its value is where that is no mean."""
    text = Text("  " + key.rpartition("/")[2])
    if stat["aggregation"] in _NO_MEAN:
        text.append(f" ({_NO_MEAN[stat['aggregation']]})", style="dim")
    return text
