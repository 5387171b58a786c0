"""Figures as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LARGEST_IN_FULL = 1e9


def figure(value: float, digits: int = 5) -> str:
    """Return `value` with so many significant digits, without zeros that say nothing; NaN is a dash."""
    if math.isnan(value):
        return "-"
    is_long = 10**digits - 0.5 <= abs(value) < _LARGEST_IN_FULL
    if is_long or (abs(value) < 10**digits and value == int(value)):
        return f"{value + 0.0:,.0f}"  # the sum makes -0.0 a 0.0
    return f"{value:.{digits}g}"


def point_aligned(texts: Sequence[str]) -> list[str]:
    """Return the figures of a column, padded on both sides so that their decimal points stand in line."""
    tails = [len(text) - text.index(".") if "." in text else 0 for text in texts]
    longest = max(tails, default=0)
    padded = [text + " " * (longest - tail) for text, tail in zip(texts, tails, strict=True)]
    width = max(map(len, padded), default=0)
    return [text.rjust(width) for text in padded]


def seconds(time_ns: int) -> str:
    """Return a span of nanoseconds in seconds."""
    return f"{time_ns / 1e9:,.1f} s"
