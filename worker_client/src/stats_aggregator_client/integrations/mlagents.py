"""ML-Agents as a source: a StatsWriter of ML-Agents that forwards all stats of a training to a daemon.

`mlagents-learn` finds it by entry point once this client is installed beside it. It does nothing unless
STATS_AGGREGATOR_ADDRESS names a daemon.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from ..client import StatsClient
from ..errors import SettingError
from ..log import LOGGER
from ..reporter import StatsReporter


def forward(run_options: Any) -> list[Any]:
    """Return the writer, for ML-Agents' `register_stats_writer_plugins`; none without an address.

    `run_options` are ML-Agents'. The run is STATS_AGGREGATOR_RUN_ID, else ML-Agents' own `--run-id`:
    trainings of one run meet in its summaries, as its workers.
    """
    if os.environ.get("STATS_AGGREGATOR_ADDRESS", "") in ("", "off"):
        return []
    from mlagents.trainers.stats import StatsWriter

    run = os.environ.get("STATS_AGGREGATOR_RUN_ID") or run_options.checkpoint_settings.run_id
    try:
        forwarding = Forwarding(StatsClient(run=run))
    except SettingError as error:
        LOGGER.error("ML-Agents' stats are not forwarded: %s", error)
        return []

    class ForwardingWriter(StatsWriter):  # type: ignore[misc] # of a package that has no types
        """ML-Agents asks for a class of its own, which is not there before ML-Agents is."""

        def write_stats(self, category: str, values: Mapping[str, Any], step: int) -> None:
            forwarding.write(category, values, step)

        def add_property(self, category: str, property_type: Any, value: Any) -> None:
            forwarding.add_property(category, property_type, value)

    return [ForwardingWriter()]


class Forwarding:
    """Forwards what ML-Agents has collected when it writes it: all values, then the end of the period.

    Not value by value: ML-Agents keeps them until then itself, and a list of them costs a small part of as
    many calls. What a trainer that is killed had not written is lost, as it is for ML-Agents.
    """

    def __init__(self, client: StatsClient) -> None:
        self._client = client
        self._reporters: dict[str, StatsReporter | None] = {}

    def write(self, category: str, values: Mapping[str, Any], step: int) -> None:
        """Forward ML-Agents' summaries by key; each has all values in its `full_dist`."""
        reporter = self._reporter(category)
        if reporter is not None:
            for key, summary in values.items():
                method = StatsAggregationMethod(summary.aggregation_method.value)
                reporter.add_stats(key, summary.full_dist, method)
            reporter.write_stats(step)

    def add_property(self, category: str, property_type: Any, value: Any) -> None:
        """Forward a fact that is no number."""
        reporter = self._reporter(category)
        if reporter is not None:
            reporter.add_property(property_type, value)

    def _reporter(self, category: str) -> StatsReporter | None:
        if category not in self._reporters:
            try:
                self._reporters[category] = StatsReporter(category, self._client)
            except SettingError as error:
                LOGGER.error("the stats of a behavior are not forwarded: %s", error)
                self._reporters[category] = None
        return self._reporters[category]
