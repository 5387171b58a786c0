"""What a step of ten numbers costs in Lightning's shape, beside its CSVLogger."""

from __future__ import annotations

from typing import Any

from tests.bench.beside import NUMBERS, Log, compare, measure
from tests.bench.row import Row


def measure_lightning() -> list[Row]:
    """Return the cost of ten numbers at a step."""
    return measure(__file__, "ten numbers at a step, Lightning's shape", "its CSVLogger")


def _make(directory: str) -> tuple[Log, Log]:
    from lightning.pytorch.loggers import CSVLogger

    from stats_aggregator_client.integrations.lightning import StatsLogger

    theirs, ours = CSVLogger(directory), StatsLogger("bench")

    def log(logger: Any, step: int) -> None:
        logger.log_metrics(NUMBERS, step)
        logger.save()  # as the trainer does

    return lambda step: log(theirs, step), lambda step: log(ours, step)


if __name__ == "__main__":
    compare(_make)
