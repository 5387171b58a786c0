"""TensorboardWriter: ML-Agents' writer of this name, which plugins look up, call and extend."""

from __future__ import annotations

import os
from typing import Any

from stats_aggregator_api import path_part

from .aggregation import StatsPropertyType
from .console_writer import property_lines
from .loggers import get_logger
from .pooled_summary import PooledFigures
from .stats_summary import StatsSummary
from .stats_writer import StatsWriter
from .summary_writer import SummaryWriter

_LOG = get_logger("mlagents.trainers.stats")


class TensorboardWriter(StatsWriter):
    """Draws each series in `BASE_DIR/CATEGORY`, by a SummaryWriter for each category."""

    def __init__(
        self, base_dir: str, clear_past_data: bool = False, hidden_keys: list[str] | None = None
    ) -> None:
        """Write below `base_dir`, all keys but the hidden ones.

        `clear_past_data` clears nothing: what lies there is in use, or of a run that goes on.
        """
        self.summary_writers: dict[str, SummaryWriter] = {}
        self.base_dir = base_dir
        self.hidden_keys = list(hidden_keys or ())
        self._clear_past_data = clear_past_data
        if clear_past_data:
            _LOG.warning(
                "clear_past_data is ignored: files in %s may be the daemon's own, or of a run that goes on",
                base_dir,
            )

    def write_stats(self, category: str, values: dict[str, StatsSummary], step: int) -> None:
        """Draw a point for each series, and the distribution of a HISTOGRAM; durable at the return."""
        self._maybe_create_summary_writer(category)
        writer = self.summary_writers[category]
        for key, summary in values.items():
            if key in self.hidden_keys:
                continue
            writer.add_scalar(key, summary.aggregated_value, step)
            if summary.aggregation_method.name == "HISTOGRAM":
                writer.add_histogram(f"{key}_hist", _distribution(summary), step)
        writer.flush()

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Write hyperparameters as text."""
        if property_type.name == "HYPERPARAMETERS":
            self._maybe_create_summary_writer(category)
            self.summary_writers[category].add_text("Hyperparameters", "\n".join(property_lines(value)))
            self.summary_writers[category].flush()

    def _maybe_create_summary_writer(self, category: str) -> None:
        if category not in self.summary_writers:
            directory = os.path.join(self.base_dir, path_part(category))
            os.makedirs(directory, exist_ok=True)
            self.summary_writers[category] = SummaryWriter(directory)


def _distribution(summary: StatsSummary) -> Any:
    # What the daemon pooled has the buckets of all values, also where the list is a sample.
    pooled = summary.pooled if isinstance(summary, PooledFigures) else None
    return summary.full_dist if pooled is None else pooled
