"""Contents: what a message brings into a period, be it a batch of values or a PARTIAL of folded ones."""

from __future__ import annotations

from stats_aggregator_client.wire import Batch, Partial, PartialSeries

_COUNTS = [PartialSeries._fields.index(name) for name in ("num", "num_nan", "num_inf")]


def num_values(message: Batch | Partial) -> int:
    """Return how many values a message stands for, NaN and infinities among them."""
    if isinstance(message, Batch):
        return len(message.values) >> 3
    return sum(int(part[place]) for part in message.parts for place in _COUNTS)


def is_empty(message: Batch | Partial) -> bool:
    """Return whether a message has neither values nor losses, hence at most a step."""
    return not (message.series or message.lost or message.uncertain)
