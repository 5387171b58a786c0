"""What a step of ten numbers costs in TorchRL's shape, beside its TensorboardLogger."""

from __future__ import annotations

from typing import Any

from tests.bench.beside import NUMBERS, Log, compare, measure


def measure_torchrl() -> list[dict[str, Any]]:
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
