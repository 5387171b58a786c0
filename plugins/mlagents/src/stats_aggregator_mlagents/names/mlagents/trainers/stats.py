"""Summaries, writers, and where to find them."""

# From where plugins import it too, so that it is one enum: that package alone may be ML-Agents' own.
from mlagents_envs.side_channel.stats_side_channel import StatsAggregationMethod

from stats_aggregator_mlagents.aggregation import StatsPropertyType
from stats_aggregator_mlagents.console_writer import ConsoleWriter
from stats_aggregator_mlagents.gauge_writer import GaugeWriter
from stats_aggregator_mlagents.stats_reporter import StatsReporter
from stats_aggregator_mlagents.stats_summary import StatsSummary
from stats_aggregator_mlagents.stats_writer import StatsWriter
from stats_aggregator_mlagents.tensorboard_writer import TensorboardWriter

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
