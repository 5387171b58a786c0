"""StatsWriter: what a plugin implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .aggregation import StatsAggregationMethod, StatsPropertyType
from .summary import StatSummary


class StatsWriter(ABC):
    """Takes each period's summaries somewhere: a file, a screen, a service.

    What a writer may rely on:

    - It is made, called and closed on one thread of its plugin's own. Calls are never concurrent, and none
      comes after `close`.
    - It may block: only itself waits.
    - What it raises is logged and the call is repeated later with the same period id, so delivery is at least
      once. Other writers and the training never notice.
    - What it is given is shared and frozen: never change it, and keep it as long as you like.
    """

    @abstractmethod
    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Take the summaries of one period of `category`, by key.

        `values` is a PeriodSummaries: `values.period` says which run, span and workers. It is empty where
        the trainer wrote a period without values. `step` is the training step, the x axis.
        """

    # Empty on purpose: a writer overrides what it wants to hear of.
    def on_add_stat(  # noqa: B027
        self, category: str, key: str, value: float, aggregation: StatsAggregationMethod
    ) -> None:
        """Take one raw value as it arrives, before its period's `write_stats`.

        Costly: values are only sent to writers that override this. Where too many came at once, or a crash
        lay between, `values.period.unseen` counts the ones that this writer was not shown.
        """

    def add_property(  # noqa: B027
        self, category: str, property_type: StatsPropertyType, value: Any
    ) -> None:
        """Take a fact that is no number, such as hyperparameters. `value` is made of plain JSON types."""

    def close(self) -> None:  # noqa: B027
        """Finish: the run ended or was idle, or the daemon stops. A new writer is made if the run goes on."""
