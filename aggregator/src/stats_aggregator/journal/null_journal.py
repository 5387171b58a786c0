"""NullJournal: what stands in for the journal where nothing acknowledged has to survive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

from .segment import Record
from .sync_times import SyncTimes


class NullJournal:
    """The journal of durability none: it takes everything and keeps nothing."""

    size_bytes = 0
    segments = 0
    checkpoints = 0
    sync_times = SyncTimes()

    def append(
        self,
        records: Sequence[Record],
        pins: Iterable[Hashable] = (),
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `meanwhile`, and keep nothing."""
        meanwhile()

    def checkpoint(self, records: Iterable[Record], pins: Collection[Hashable]) -> None:
        """Do nothing."""

    def release(self, pin: Hashable) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
