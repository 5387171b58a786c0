"""Vocabulary: the classes that a plugin imports, ML-Agents' own or the provided ones."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from stats_aggregator_api import (
    CheckpointSettings,
    RunOptions,
    StatsAggregationMethod,
    StatsPropertyType,
    StatSummary,
)

from .pooled_summary import pooled_summary


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Puts what the daemon hands out into the classes that plugins compare with and derive from.

    `stats` and `settings` are the modules `mlagents.trainers.stats` and `.settings`; `methods` is the enum of
    `mlagents_envs.side_channel.stats_side_channel`.
    """

    stats: Any
    settings: Any
    methods: Any

    @classmethod
    def imported(cls) -> Vocabulary:
        """Return the one that an import gives in this process."""
        return cls(
            import_module("mlagents.trainers.stats"),
            import_module("mlagents.trainers.settings"),
            import_module("mlagents_envs.side_channel.stats_side_channel").StatsAggregationMethod,
        )

    def method(self, method: StatsAggregationMethod) -> Any:
        """Return the plugin's own member; MIN and MAX, which ML-Agents lacks, are AVERAGE to it."""
        name = method.name if method.value <= StatsAggregationMethod.HISTOGRAM else "AVERAGE"
        return self.methods[name]

    def property_type(self, property_type: StatsPropertyType) -> Any:
        """Return the plugin's own member."""
        return self.stats.StatsPropertyType[property_type.name]

    def summaries(self, values: Mapping[str, StatSummary]) -> dict[str, Any]:
        """Return the summaries as a dict that is the receiver's to change."""
        base = self.stats.StatsSummary
        return {
            key: pooled_summary(base, self.method(summary.aggregation_method), summary)
            for key, summary in values.items()
        }

    def run_options(self, options: RunOptions) -> Any:
        """Return the plugin's RunOptions for the run, with `plugin_options` beside ML-Agents' attributes.

        `resume` is True, as for all plugins: they clear a run's directory where it is not.
        """
        ours = options.checkpoint_settings
        checkpoint = self._checkpoint_settings()(
            run_id=ours.run_id, results_dir=ours.results_dir, resume=ours.resume
        )
        made = self.settings.RunOptions(checkpoint_settings=checkpoint)
        made.plugin_options = deepcopy(dict(options.plugin_options))
        return made

    def _checkpoint_settings(self) -> type:
        # A run's name comes from workers: ML-Agents' class would let it lead out of the results directory.
        base = self.settings.CheckpointSettings
        write_path = property(
            lambda made: CheckpointSettings(run_id=made.run_id, results_dir=made.results_dir).write_path
        )
        return type(base.__name__, (base,), {"write_path": write_path, "__module__": base.__module__})
