"""Exact statistics of doubles, by integers: the oracle of the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple


class Exact(NamedTuple):
    """Rounded once, at the very end."""

    num: int
    sum: float
    mean: float
    std: float
    min: float
    max: float
    magnitude: float


def exact(values: Sequence[float]) -> Exact:
    """Return the statistics of finite `values` by rational arithmetic."""
    bits = max(value.as_integer_ratio()[1].bit_length() for value in values)
    whole = [numerator << (bits - denominator.bit_length()) for numerator, denominator in _ratios(values)]
    num, total, squares = len(whole), sum(whole), sum(number * number for number in whole)
    unit = Fraction(1, 1 << (bits - 1))
    variance = (Fraction(squares) - Fraction(total) ** 2 / num) / num * unit * unit
    return Exact(
        num,
        float(total * unit),
        float(Fraction(total, num) * unit),
        _root(variance),
        min(values),
        max(values),
        math.fsum(map(abs, values)),
    )


def _ratios(values: Sequence[float]) -> list[tuple[int, int]]:
    return [value.as_integer_ratio() for value in values]


def _root(square: Fraction) -> float:
    # 2 ** 200 is enough digits for a double's, also of a tiny fraction.
    scale = 1 << 400
    return math.isqrt(square.numerator * scale // square.denominator) / (1 << 200)
