"""A training of ML-Agents' own, in a Python that has it: its plugins are loaded as `mlagents-learn` does.

It reads `{"run_id", "results", "property", "periods": [[category, step, [[key, method, values]]]]}` as JSON,
writes `{"writers": [class], "figures": [{key: {num, mean, std, sum, aggregated_value}}]}`, and ends, without
a word to any plugin.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from reporting import add_all

FIGURES = ("num", "mean", "std", "sum", "aggregated_value")


def main() -> None:
    """Report all periods."""
    warnings.simplefilter("ignore")
    from mlagents.plugins.stats_writer import register_stats_writer_plugins
    from mlagents.trainers.settings import CheckpointSettings, RunOptions
    from mlagents.trainers.stats import StatsAggregationMethod, StatsPropertyType, StatsReporter, StatsWriter

    figures: list[dict[str, dict[str, float]]] = []

    class Keeper(StatsWriter):  # type: ignore[misc]
        """Keeps what it is given."""

        def write_stats(self, category: str, values: Any, step: int) -> None:
            figures.append(
                {key: {name: float(getattr(s, name)) for name in FIGURES} for key, s in values.items()}
            )

    answer, sys.stdout = sys.stdout, sys.stderr
    training = json.load(sys.stdin)
    checkpoints = CheckpointSettings(run_id=training["run_id"], results_dir=training["results"])
    writers = register_stats_writer_plugins(RunOptions(checkpoint_settings=checkpoints))
    for writer in (*writers, Keeper()):
        StatsReporter.add_writer(writer)
    for category, step, series in training["periods"]:
        reporter = StatsReporter(category)
        reporter.add_property(StatsPropertyType.HYPERPARAMETERS, training["property"])
        add_all(reporter, series, StatsAggregationMethod)
        reporter.write_stats(step)
    print(json.dumps({"writers": [type(each).__name__ for each in writers], "figures": figures}), file=answer)


main()
