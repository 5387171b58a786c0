"""The reference plugin of stats-aggregator: prints the headline of each key. Copy it to begin your own."""

from __future__ import annotations

from collections.abc import Mapping

from stats_aggregator_api import RunOptions, StatSummary, StatsWriter


class ExampleWriter(StatsWriter):
    """Prints a line for each key of each period."""

    def __init__(self, prefix: str) -> None:
        """Begin each line with `prefix`."""
        self._prefix = prefix

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Print the headline value that the producer chose for each key."""
        for key, summary in values.items():
            print(f"{self._prefix} {category} step {step} {key} = {summary.aggregated_value:g}", flush=True)  # noqa: T201 - it is what this writer does


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Make the writers for a run; the entry point in pyproject.toml names this function.

    Raises ValueError for an option that this plugin does not have.
    """
    options = dict(run_options.plugin_options)
    prefix = options.pop("prefix", "[example]")
    if options:
        raise ValueError(f"[writers.example] has no option {sorted(options)}; it knows prefix")
    return [ExampleWriter(prefix)]
