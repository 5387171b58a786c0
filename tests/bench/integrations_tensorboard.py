"""What a step of ten numbers costs in TensorBoard's shape, beside PyTorch's SummaryWriter."""

from __future__ import annotations

from typing import Any

from tests.bench.beside import NUMBERS, Log, compare, measure
from tests.bench.row import Row


def measure_tensorboard() -> list[Row]:
    """Return the cost of ten numbers at a step."""
    return measure(__file__, "ten numbers at a step, TensorBoard's shape", "PyTorch's SummaryWriter")


def _make(directory: str) -> tuple[Log, Log]:
    from torch.utils.tensorboard import SummaryWriter as Theirs

    from stats_aggregator_client.integrations.tensorboard import SummaryWriter as Ours

    theirs, ours = Theirs(directory), Ours("bench")

    def log(writer: Any, step: int) -> None:
        for tag, value in NUMBERS.items():
            writer.add_scalar(tag, value, step)

    return lambda step: log(theirs, step), lambda step: log(ours, step)


if __name__ == "__main__":
    compare(_make)
