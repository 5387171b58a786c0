"""The aggregation of a series."""

from stats_aggregator_mlagents.aggregation import StatsAggregationMethod

__all__ = ["StatsAggregationMethod"]
