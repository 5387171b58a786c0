"""ML-Agents' own StatsReporter, in a Python that has it: requests and answers are lines of JSON.

`{"tensorboard": DIRECTORY or null, "periods": [[category, step, [[key, method, values], ...]], ...]}` reports
the values by `add_stat`, or `set_stat` where the method is MOST_RECENT, and writes each period. The answer is
a list of periods, as `{key: {num, mean, std, sum, aggregated_value}}`.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from reporting import add_all

FIGURES = ("num", "mean", "std", "sum", "aggregated_value")


def main() -> None:
    """Answer until the end of the input."""
    warnings.simplefilter("ignore")
    from mlagents.trainers.stats import (
        StatsAggregationMethod,
        StatsReporter,
        StatsWriter,
        TensorboardWriter,
    )

    class Keeper(StatsWriter):  # type: ignore[misc]
        """Keeps what it is given."""

        def __init__(self) -> None:
            self.periods: list[dict[str, dict[str, float]]] = []

        def write_stats(self, category: str, values: Any, step: int) -> None:
            self.periods.append(
                {key: {name: float(getattr(s, name)) for name in FIGURES} for key, s in values.items()}
            )

    # Warnings about empty or overflowing lists are ML-Agents' own.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        keeper = Keeper()
        StatsReporter.writers = [keeper]
        if request["tensorboard"]:
            hidden = ["Is Training", "Step"]
            StatsReporter.writers.append(TensorboardWriter(request["tensorboard"], hidden_keys=hidden))
        for category, step, series in request["periods"]:
            reporter = StatsReporter(category)
            add_all(reporter, series, StatsAggregationMethod)
            reporter.write_stats(step)
        print(json.dumps(keeper.periods), file=answers, flush=True)


main()
