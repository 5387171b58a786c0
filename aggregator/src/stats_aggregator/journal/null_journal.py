"""NullJournal: what stands in for the journal where nothing acknowledged has to survive."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence

from .segment import Record
from .sync_times import SyncTimes


class NullJournal:
    """The journal of durability none: it takes everything and keeps nothing."""

    size_bytes = 0
    segments = 0
    syncs = 0
    last_sync_s = 0.0
    checkpoints = 0
    sync_times = SyncTimes()

    def append(self, records: Sequence[Record], pins: Iterable[Hashable] = ()) -> None:
        """Do nothing."""

    def checkpoint(self, records: Iterable[Record], pins: Collection[Hashable]) -> None:
        """Do nothing."""

    def release(self, pin: Hashable) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
