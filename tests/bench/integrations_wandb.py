"""What a step of ten numbers costs in W&B's shape, beside W&B's own, offline."""

from __future__ import annotations

from tests.bench.beside import NUMBERS, Log, compare, measure
from tests.bench.row import Row


def measure_wandb() -> list[Row]:
    """Return the cost of ten numbers at a step."""
    return measure(__file__, "ten numbers at a step, W&B's shape", "W&B's own, offline")


def _make(directory: str) -> tuple[Log, Log]:
    import wandb as theirs

    from stats_aggregator_client.integrations import wandb as ours

    theirs.init(mode="offline", dir=directory, settings=theirs.Settings(silent=True))
    ours.init(name="bench")
    return lambda step: theirs.log(NUMBERS, step=step), lambda step: ours.log(NUMBERS, step=step)


if __name__ == "__main__":
    compare(_make)
