"""Chunks and folds for tests, and what they must come to by exact arithmetic."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from fractions import Fraction

from stats_aggregator_api import Buckets
from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.fold import Fold
from stats_aggregator_client.folding import Work
from stats_aggregator_client.moments import Moments

Content = dict[tuple[str, int], list[float]]
EPSILON = 2.0**-52


def chunk(content: Content, **fields: object) -> Chunk:
    values = array("d", [value for values in content.values() for value in values])
    counts = array("I", map(len, content.values()))
    return Chunk(1, 0, None, 0, 10, 20, tuple(content), counts, values.tobytes())._replace(**fields)


def content(found: Chunk) -> Content:
    values, begin, result = array("d", found.values), 0, {}
    for name, count in zip(found.series, found.counts, strict=True):
        assert count > 0
        assert name not in result
        result[name] = list(values[begin : begin + count])
        begin += count
    assert begin == len(values)
    return result


def done(work: Work) -> Chunk | Fold:
    """What the work makes."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def check_buckets(values: Sequence[float], keys: Sequence[int], counts: Sequence[int], bits: int = 7) -> None:
    right = Buckets.of(values, bits)
    assert (list(keys), list(counts)) == (list(right.keys), list(right.counts))


def check_moments(values: Sequence[float], found: Moments) -> None:
    """Compare with rational arithmetic: counts and extremes identical, the rest to rounding."""
    finite = [value for value in values if math.isfinite(value)]
    assert found.num == len(finite)
    assert found.num_nan == sum(map(math.isnan, values))
    assert found.num_inf == sum(map(math.isinf, values))
    if not finite:
        assert found[3:] == (0.0,) * 8
        return
    assert (found.min, found.max, found.last) == (min(finite), max(finite), finite[-1])
    exact = [Fraction(value) for value in finite]
    total = sum(exact, Fraction(0))
    mean = total / len(exact)
    spread = sum((value - mean) ** 2 for value in exact)
    size, reach = sum(map(abs, exact)), Fraction(found.max) - Fraction(found.min)
    tolerance = Fraction(EPSILON) * 16
    assert abs(Fraction(found.sum) + Fraction(found.sum_error) - total) <= tolerance * size
    mean_found = Fraction(found.origin) + Fraction(found.mean_from_origin)
    assert abs(mean_found - mean) <= tolerance * reach + Fraction(5e-324)
    assert abs(Fraction(found.m2) - spread) <= tolerance * len(exact) * reach**2 + Fraction(1e-300)
