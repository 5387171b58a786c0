"""StatSummary: what became of all values of one series in one period."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .aggregation import StatsAggregationMethod
from .bucket import bucket_limits, relative_error
from .buckets import Buckets
from .values import Values


@dataclass(frozen=True, slots=True)
class StatSummary:
    """All values of one series in one period, over all workers.

    `num` counts the finite values; `mean`, `std` (the population's, ddof 0), `sum`, `min`, `max` and `last`
    are over these: NaN where there are none, `sum` then 0. `num_nan` and `num_inf` count the others.
    `min_worker` and `max_worker` name who sent the extremes. `full_dist` holds the finite values in the order
    of arrival while `exact`, and is empty past the daemon's `retain_values`; `buckets` holds the distribution
    always.

    A MOST_RECENT series pools the latest value of each worker: `last` is the newest of these, and the other
    fields are over one value a worker.
    """

    aggregation_method: StatsAggregationMethod
    num: int
    mean: float
    std: float
    sum: float
    min: float
    max: float
    last: float
    num_nan: int = 0
    num_inf: int = 0
    min_worker: str = ""
    max_worker: str = ""
    full_dist: Sequence[float] = field(default_factory=Values)
    exact: bool = True
    buckets: Buckets = field(default_factory=Buckets)
    _ascending: list[float] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def aggregated_value(self) -> float:
        """The headline: the field that the producer chose by `aggregation_method`."""
        method = self.aggregation_method
        if method == StatsAggregationMethod.SUM:
            return self.sum
        if method == StatsAggregationMethod.MOST_RECENT:
            return self.last
        if method == StatsAggregationMethod.MIN:
            return self.min
        if method == StatsAggregationMethod.MAX:
            return self.max
        return self.mean

    @property
    def percentile_error(self) -> float:
        """How far a percentile may be off, relative to its value: 0.0 while exact."""
        return 0.0 if self.exact else relative_error(self.buckets.mantissa_bits)

    def percentile(self, q: float) -> float:
        """Return the nearest-rank percentile, `q` from 0 to 100; NaN where there is no finite value.

        Hyndman and Fan's definition 1, numpy's `inverted_cdf`: the least value with at least q percent of all
        values at or below it. Past the retained values it is the middle of that value's bucket, kept within
        `min` and `max`.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"q is {q!r}; a percentile is from 0 to 100")
        if self.num == 0:
            return math.nan
        index = max(math.ceil(self.num * (q / 100) - 1), 0)
        if not self.exact:
            return min(max(self.buckets.value_at(index), self.min), self.max)
        if not self._ascending:
            self._ascending.extend(sorted(self.full_dist))
        return self._ascending[index]

    def histogram(self) -> tuple[list[float], list[int]]:
        """Return the upper limits of the buckets that hold values, ascending, and their counts.

        Limits lie within `min` and `max`; the two lists have the same length.
        """
        bits = self.buckets.mantissa_bits
        limits = [min(max(bucket_limits(key, bits)[1], self.min), self.max) for key in self.buckets.keys]
        return limits, list(self.buckets.counts)
