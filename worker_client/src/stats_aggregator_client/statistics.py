"""ClientStatistics: what became of all values, as `StatsClient.statistics()` shows it."""

from __future__ import annotations

from typing import NamedTuple


class ClientStatistics(NamedTuple):
    """One look at a client; counts are of this process since its start or fork.

    `values_added` is `values_acked + values_lost + values_uncertain + values_rejected + values_pending`.
    """

    state: str
    """In words: connected, greeting, no daemon, refused, off or closed."""
    connected: bool
    worker: str
    """As the daemon gave it: with a suffix where another live process has the name."""
    run: str | None
    values_added: int
    values_folded: int
    """Folded into partial summaries because the buffer was nearly full, whatever became of them then."""
    values_sent: int
    """Sent at least once."""
    values_acked: int
    """Stored by the daemon, each counted once."""
    values_lost: int
    """Dropped because the buffer was full, or left over at close."""
    values_uncertain: int
    """Sent to a daemon that is no more, without an acknowledgement."""
    values_rejected: int
    """Refused by the daemon."""
    values_pending: int
    """Waiting in memory, or sent and not acknowledged."""
    pending_bytes: int
    not_numbers: int
    bad_names: int
    """Values ignored for their key or aggregation."""
    bad_calls: int
    """Steps ignored because they were no integers from 0 up."""
    after_close: int
    """Calls ignored because the client was closed."""
    notes_lost: int
    """Properties, WRITEs and REWINDs dropped: too large, the buffer full, or left over at close."""
    notes_uncertain: int
    """WRITEs and REWINDs sent to a daemon that is no more, without an acknowledgement."""
    steps_uncertain: int
    """Of `add_steps`, likewise."""
    batches_acked: int
    batches_resent: int
    connections: int
    """How many times the daemon welcomed us."""
