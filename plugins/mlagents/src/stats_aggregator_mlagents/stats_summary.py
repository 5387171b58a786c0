"""StatsSummary: ML-Agents' summary, a pair of values and aggregation that computes the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .aggregation import StatsAggregationMethod


class StatsSummary(NamedTuple):
    """The values of a series and how they are summarised; a bare number stands for a list of it.

    Figures are numpy's float64, as ML-Agents' are; without values `sum` is 0 and the others NaN.
    """

    full_dist: list[float]
    aggregation_method: StatsAggregationMethod

    @staticmethod
    def empty() -> StatsSummary:
        """Return the summary of nothing."""
        return StatsSummary([], StatsAggregationMethod.AVERAGE)

    @property
    def num(self) -> int:
        """How many values there are."""
        return int(np.size(self.full_dist))

    @property
    def mean(self) -> np.float64:
        """The mean."""
        return np.float64(np.mean(self.full_dist) if self.num else np.nan)

    @property
    def std(self) -> np.float64:
        """The population's standard deviation."""
        return np.float64(np.std(self.full_dist) if self.num else np.nan)

    @property
    def sum(self) -> np.float64:
        """The total."""
        return np.float64(np.sum(self.full_dist))

    @property
    def aggregated_value(self) -> np.float64:
        """The total of a SUM, else the mean."""
        # By name: where only one of ML-Agents' packages is installed, the enum may be its own.
        return self.sum if self.aggregation_method.name == "SUM" else self.mean
