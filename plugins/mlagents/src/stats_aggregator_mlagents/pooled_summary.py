"""PooledSummary: a StatsSummary whose figures are the daemon's, over all values of all workers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from stats_aggregator_api import StatSummary

SAMPLE = 4096
"""So many values stand for a distribution whose own values are not retained."""


class PooledFigures:
    """Answers from what the daemon pooled, until the plugin changes the values or their aggregation.

    Mixed into the StatsSummary that the plugin imports, ML-Agents' own or ours, by `pooled_summary`.
    """

    full_dist: list[float]
    aggregation_method: Any
    _pooled: StatSummary
    _given: tuple[list[float], Any]

    @property
    def pooled(self) -> StatSummary | None:
        """What the daemon pooled; None once the values are others."""
        return self._pooled if self.full_dist == self._given[0] else None

    @property
    def num(self) -> int:
        """How many values there are."""
        return int(self._figure("num"))

    @property
    def mean(self) -> np.float64:
        """The mean."""
        return np.float64(self._figure("mean"))

    @property
    def std(self) -> np.float64:
        """The population's standard deviation."""
        return np.float64(self._figure("std"))

    @property
    def sum(self) -> np.float64:
        """The total."""
        return np.float64(self._figure("sum"))

    @property
    def aggregated_value(self) -> np.float64:
        """The headline that the producer chose."""
        pooled = self.pooled
        if pooled is not None and self.aggregation_method is self._given[1]:
            return np.float64(pooled.aggregated_value)
        return self.sum if self.aggregation_method.name == "SUM" else self.mean

    def _figure(self, name: str) -> Any:
        pooled = self.pooled
        return getattr(super(), name) if pooled is None else getattr(pooled, name)

    def _replace(self, **changes: Any) -> Any:
        made = super()._replace(**changes)  # type: ignore[misc]
        made._pooled, made._given = self._pooled, self._given
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made for its base, and found by no name.
        base = type(self).__mro__[2]
        state = {"_pooled": self._pooled, "_given": self._given}
        return _restored, (base, self.full_dist, self.aggregation_method, state)


def pooled_summary(base: type, method: Any, summary: StatSummary) -> Any:
    """Return `summary` as an instance of `base`, a StatsSummary, with the aggregation that goes with it.

    Its list is its own. Where the values are not retained it has a sample of the distribution instead: what
    a plugin draws from it is right within `percentile_error`, and `if not full_dist` says what it means.
    """
    values = list(summary.full_dist) if summary.exact else _sample(summary)
    return _restored(base, values, method, {"_pooled": summary, "_given": (values.copy(), method)})


def _restored(base: type, values: list[float], method: Any, state: dict[str, Any]) -> Any:
    made = _kind(base)(values, method)
    vars(made).update(state)
    return made


@cache
def _kind(base: type) -> type:
    return type("StatsSummary", (PooledFigures, base), {"__module__": base.__module__})


def _sample(summary: StatSummary) -> list[float]:
    """Return the distribution by evenly spaced ranks, ascending, and the last value at the end."""
    if summary.num < 3:
        other = summary.max if summary.last == summary.min else summary.min
        return [other, summary.last][2 - summary.num :]
    inner = np.linspace(0.0, 100.0, min(SAMPLE, summary.num) - 1)[1:-1].tolist()
    return [summary.min, *map(summary.percentile, inner), summary.max, summary.last]
