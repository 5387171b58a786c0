"""Moments: count, sum, mean, spread, extremes and last of some values of one series.

The mean and the spread are kept about an origin, the first finite value, and merged by Chan, Golub and
LeVeque's update ("Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979); sums are
compensated (Neumaier 1974). Where doubles overflow, the spread is infinite and the sum may be; nothing
becomes NaN.
"""

from __future__ import annotations

import math
from array import array
from operator import mul
from typing import Any, NamedTuple

from .numeric import numpy_for


class Moments(NamedTuple):
    """What is kept of the values; the floats are 0.0 where none was finite.

    The sum is `sum + sum_error`. NaN and infinities are counted, and in none of the floats.
    """

    num: int = 0
    num_nan: int = 0
    num_inf: int = 0
    origin: float = 0.0
    mean_from_origin: float = 0.0
    m2: float = 0.0
    sum: float = 0.0
    sum_error: float = 0.0
    min: float = 0.0
    max: float = 0.0
    last: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of the finite values, within their extremes."""
        return min(max(self.origin + self.mean_from_origin, self.min), self.max)

    def merge(self, later: Moments) -> Moments:
        """Return the moments of both sets of values; those of `later` came later."""
        if not self.num or not later.num:
            some = self if self.num else later
            return some._replace(num_nan=self.num_nan + later.num_nan, num_inf=self.num_inf + later.num_inf)
        num = self.num + later.num
        share = later.num / num
        delta = (later.mean_from_origin - self.mean_from_origin) + (later.origin - self.origin)
        origin, mean_from_origin = self.origin, self.mean_from_origin + delta * share
        if not math.isfinite(mean_from_origin):  # the values span more than a double
            origin, mean_from_origin = self.mean * (self.num / num) + later.mean * share, 0.0
            delta = later.mean - self.mean
        total, error = _two_sum(self.sum, later.sum)
        if not math.isfinite(total):
            total, error = num * (origin + mean_from_origin), 0.0
        return Moments(
            num,
            self.num_nan + later.num_nan,
            self.num_inf + later.num_inf,
            origin,
            mean_from_origin,
            self.m2 + later.m2 + delta * delta * (self.num * share),
            total,
            self.sum_error + later.sum_error + error,
            min(self.min, later.min),
            max(self.max, later.max),
            later.last,
        )


NOTHING = Moments()


def moments_of(values: array[float], *, finite: bool = False) -> Moments | None:
    """Return the moments of `values`, at least one, by the corrected two-pass algorithm.

    None where they may not all be finite, unless the caller has seen that they are.
    """
    numpy = numpy_for(len(values))
    figures = _figures(values, finite) if numpy is None else _figures_by_numpy(numpy, values, finite)
    if figures is None:
        return None
    num, origin, last = len(values), values[0], values[-1]
    correction = figures.rest / num
    mean_from_origin = (figures.centre - origin) + correction
    m2 = max(figures.squares - figures.rest * correction, 0.0)
    if not math.isfinite(mean_from_origin) or not math.isfinite(m2):
        origin, mean_from_origin, m2 = figures.centre, 0.0, math.inf
    total = figures.total if math.isfinite(figures.total) else num * figures.centre
    return Moments(num, 0, 0, origin, mean_from_origin, m2, total, 0.0, figures.least, figures.most, last)


class _Figures(NamedTuple):
    """Of some values; `rest` and `squares` are of their deviations from `centre`, which is about the mean."""

    total: float
    least: float
    most: float
    centre: float
    rest: float
    squares: float


def _figures(values: array[float], finite: bool) -> _Figures | None:
    column = values.tolist()
    try:
        total = math.fsum(column)
    except (OverflowError, ValueError):  # too large on the way, or infinities of both signs
        total = math.nan
    if not finite and not math.isfinite(total):
        return None
    least, most = min(column), max(column)
    centre = _centre(values, total, least, most)
    deviations = [value - centre for value in column]
    return _Figures(total, least, most, centre, sum(deviations), sum(map(mul, deviations, deviations)))


def _figures_by_numpy(numpy: Any, values: array[float], finite: bool) -> _Figures | None:
    column = numpy.frombuffer(values)
    with numpy.errstate(over="ignore", invalid="ignore"):
        total = float(column.sum())
        if not finite and not math.isfinite(total):
            return None
        least, most = float(column.min()), float(column.max())
        centre = _centre(values, total, least, most)
        deviations = column - centre
        rest, squares = float(deviations.sum()), float(numpy.dot(deviations, deviations))
    return _Figures(total, least, most, centre, rest, squares)


def _centre(values: array[float], total: float, least: float, most: float) -> float:
    mean = total / len(values)
    if not math.isfinite(mean):
        mean = math.fsum(value / len(values) for value in values)
    return min(max(mean, least), most)


def _two_sum(left: float, right: float) -> tuple[float, float]:
    """Return the sum and what its rounding left out, exactly."""
    total = left + right
    if abs(left) >= abs(right):
        return total, (left - total) + right
    return total, (right - total) + left
