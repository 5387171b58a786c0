"""Fit: how a cost grows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.bench.row import Row
from tests.bench.table import number


def exponent(costs: Mapping[int, float]) -> float:
    """Return the k of cost ~ n^k over the three largest n, by least squares of the logarithms: 1 is linear.

    Where n is small, what a thing costs whatever its size hides how it grows.
    """
    largest = sorted(costs)[-3:]
    slope, _ = np.polyfit(np.log(largest), np.log([costs[n] for n in largest]), 1)
    return float(slope)


def growth(what: str, costs_s: Mapping[int, float], each: str) -> Row:
    """Return the row of a cost that was measured at several n; what one of n costs stands beside it."""
    costs = ", ".join(f"{number(cost_s / n * 1e6)} us at {n:,}" for n, cost_s in costs_s.items())
    k = exponent(costs_s)
    return Row(what, k, "is k of n^k", "linear", k, note=f"{each}: {costs}")
