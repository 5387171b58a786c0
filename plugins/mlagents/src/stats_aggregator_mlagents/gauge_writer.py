"""GaugeWriter: hands mean and sum of each series to `set_gauge`."""

from __future__ import annotations

from .gauges import set_gauge
from .stats_summary import StatsSummary
from .stats_writer import StatsWriter


class GaugeWriter(StatsWriter):
    """ML-Agents' writer of this name."""

    @staticmethod
    def sanitize_string(s: str) -> str:
        """Return the name of a series as that of a gauge: sections by dots, no spaces."""
        return s.translate({ord("/"): ".", ord(" "): None})

    def write_stats(self, category: str, values: dict[str, StatsSummary], step: int) -> None:
        """Set two gauges a series."""
        for key, summary in values.items():
            name = self.sanitize_string(f"{category}.{key}")
            set_gauge(f"{name}.mean", float(summary.mean))
            set_gauge(f"{name}.sum", float(summary.sum))
