"""Counts: what became of the values, while it happens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Running totals of one client in one process; `StatsClient.statistics()` shows them frozen."""

    added: int = 0
    folded: int = 0
    sent: int = 0
    acked: int = 0
    lost: int = 0
    uncertain: int = 0
    rejected: int = 0
    not_numbers: int = 0
    bad_names: int = 0
    bad_calls: int = 0
    after_close: int = 0
    notes_lost: int = 0
    notes_uncertain: int = 0
    steps_uncertain: int = 0
    batches_acked: int = 0
    batches_resent: int = 0
    connections: int = 0

    @property
    def not_delivered(self) -> int:
        """Values, notes and steps that were given up."""
        values = self.lost + self.uncertain + self.rejected
        return values + self.notes_lost + self.notes_uncertain + self.steps_uncertain

    def what_was_lost(self, address: str) -> str:
        """Return in words what was not delivered to `address`, and what to do where nothing ever was."""
        if not (self.acked or self.uncertain):
            return (
                f"{self.lost} values lost: no stats-aggregator daemon took one at {address}. Start one with "
                "`stats-aggregator serve`, or set STATS_AGGREGATOR_ADDRESS"
            )
        return (
            f"{self.lost} values lost and {self.uncertain} sent but not acknowledged; {self.acked} were "
            f"acknowledged by {address}"
        )
