"""Gauges."""

from stats_aggregator_mlagents.gauges import set_gauge

__all__ = ["set_gauge"]
