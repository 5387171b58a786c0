"""Allowance: seconds that several spend one after the other."""

from __future__ import annotations

from typing import Any

from ..clock import stopwatch_ns


class Allowance:
    """A timeout that is ever shorter: as a float it is what is left of it."""

    def __init__(self, seconds: float) -> None:
        self._ends_ns = stopwatch_ns() + int(seconds * 1e9)

    def __float__(self) -> float:
        return max(self._ends_ns - stopwatch_ns(), 0) / 1e9

    def __reduce__(self) -> Any:
        return Allowance, (float(self),)  # another process has another clock, and spends it meanwhile
