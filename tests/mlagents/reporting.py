"""How a child that has ML-Agents reports series: imported by its siblings, which run as scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def add_all(reporter: Any, series: Iterable[tuple[str, str, Sequence[float]]], methods: Any) -> None:
    """Add series of key, method and values by `add_stat`, or `set_stat` where the method is MOST_RECENT."""
    for key, method, values in series:
        for value in values:
            if method == "MOST_RECENT":
                reporter.set_stat(key, value)
            else:
                reporter.add_stat(key, value, methods[method])
