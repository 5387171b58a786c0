"""Counts: what became of the values, while it happens."""

from __future__ import annotations


class Counts:
    """Running totals of one client in one process; `StatsClient.statistics()` shows them frozen."""

    added = 0
    folded = 0
    sent = 0
    acked = 0
    lost = 0
    uncertain = 0
    rejected = 0
    not_numbers = 0
    bad_names = 0
    bad_calls = 0
    after_close = 0
    notes_lost = 0
    notes_uncertain = 0
    steps_uncertain = 0
    batches_acked = 0
    batches_resent = 0
    connections = 0

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
