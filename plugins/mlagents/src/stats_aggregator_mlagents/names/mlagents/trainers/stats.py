"""Summaries, writers, and where to find them."""

from importlib import import_module

from stats_aggregator_mlagents.aggregation import StatsPropertyType
from stats_aggregator_mlagents.console_writer import ConsoleWriter
from stats_aggregator_mlagents.gauge_writer import GaugeWriter
from stats_aggregator_mlagents.stats_reporter import StatsReporter
from stats_aggregator_mlagents.stats_summary import StatsSummary
from stats_aggregator_mlagents.stats_writer import StatsWriter
from stats_aggregator_mlagents.tensorboard_writer import TensorboardWriter

# From where plugins import it too, so that it is one enum: that package alone may be ML-Agents' own.
StatsAggregationMethod = import_module("mlagents_envs.side_channel.stats_side_channel").StatsAggregationMethod

__all__ = [
    "ConsoleWriter",
    "GaugeWriter",
    "StatsAggregationMethod",
    "StatsPropertyType",
    "StatsReporter",
    "StatsSummary",
    "StatsWriter",
    "TensorboardWriter",
]
