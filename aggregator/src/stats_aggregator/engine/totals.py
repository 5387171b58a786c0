"""Totals: what the daemon took since its start, over all runs; they only grow."""

from __future__ import annotations

from dataclasses import dataclass

from stats_aggregator_client.wire import Batch, Partial


@dataclass(slots=True)
class Totals:
    """Batches, the values in them, how many of these came late, and what workers say that they lost.

    Sessions and categories count too, but are forgotten one day, which a sum over them would show.
    """

    batches: int = 0
    values: int = 0
    late: int = 0
    lost: int = 0
    uncertain: int = 0
    periods_closed: int = 0

    def take(self, message: Batch | Partial, values: int, is_late: bool) -> None:
        """Count a batch or PARTIAL of `values` that was taken; `is_late` says that its window was closed."""
        self.batches += 1
        self.values += values
        self.lost += message.lost
        self.uncertain += message.uncertain
        if is_late:
            self.late += values
        elif isinstance(message, Partial):
            self.late += message.late
