"""What the tests of plugins share: how such a plugin begins, periods to give it, and what it drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stats_aggregator.dispatch.plugins import Plugin
from stats_aggregator_api import PeriodSummaries, StatsAggregationMethod, StatsWriter
from stats_aggregator_api.testing import example_period

REWARD = "Environment/Cumulative Reward"
METHOD = StatsAggregationMethod
Load = Callable[..., Plugin]

HEAD = """
import json, logging, os, sqlite3
import numpy as np
from mlagents.plugins import ML_AGENTS_STATS_WRITER
from mlagents.trainers.settings import RunOptions
from mlagents.trainers.stats import (
    StatsWriter, StatsSummary, StatsAggregationMethod, StatsPropertyType, StatsReporter,
    TensorboardWriter, ConsoleWriter, GaugeWriter,
)
from mlagents_envs import logging_util
from mlagents_envs.logging_util import get_logger
from mlagents_envs.timers import set_gauge
from mlagents_envs.side_channel.stats_side_channel import StatsAggregationMethod as FromTheChannel

SEEN = []
"""


def period(values: Mapping[str, Any], step: int = 100, category: str = "3DBall") -> PeriodSummaries:
    return PeriodSummaries(example_period(category, step=step), values)


def write(writer: StatsWriter, values: PeriodSummaries) -> None:
    writer.write_stats(values.period.category, values, values.period.step)


def points(directory: Path) -> dict[str, list[tuple[int, float]]]:
    found = EventAccumulator(str(directory)).Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }
