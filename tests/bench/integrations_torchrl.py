"""What a step of ten numbers costs in TorchRL's shape, beside its TensorboardLogger."""

from __future__ import annotations

from tests.bench.beside import NUMBERS, Log, compare, measure
from tests.bench.row import Row


def measure_torchrl() -> list[Row]:
    """Return the cost of ten numbers at a step."""
    return measure(__file__, "ten numbers at a step, TorchRL's shape", "its TensorboardLogger")


def _make(directory: str) -> tuple[Log, Log]:
    from torchrl.record.loggers import TensorboardLogger

    from stats_aggregator_client.integrations.torchrl import StatsLogger

    theirs, ours = TensorboardLogger("bench", directory), StatsLogger("bench")
    return (
        lambda step: theirs.log_metrics(NUMBERS, step=step),
        lambda step: ours.log_metrics(NUMBERS, step=step),
    )


if __name__ == "__main__":
    compare(_make)
