"""JournalLimit: when open periods keep too much of the journal, what they hold is written down instead."""

from __future__ import annotations

import logging

from ..errors import JournalFull
from ..journal.journal import AnyJournal
from .checkpoints import checkpoint_records
from .state import State

log = logging.getLogger(__name__)


class JournalLimit:
    """Keeps the journal at about `journal_bytes`, by a checkpoint between two groups."""

    def __init__(self, journal: AnyJournal, journal_bytes: int) -> None:
        self._journal = journal
        self._journal_bytes = self._next_at_bytes = journal_bytes

    def keep(self, state: State) -> None:
        """Take a checkpoint if it is time; all that was appended is applied to `state`.

        Raises JournalFailed. Where there is no room for it the journal stays long for now.
        """
        before_bytes = self._journal.size_bytes
        if before_bytes < self._next_at_bytes:
            return
        categories = state.categories.values()
        opened = [(period, c.boundary) for c in categories for period in c.periods.values()]
        try:
            self._journal.checkpoint(checkpoint_records(opened), {period.key for period, _ in opened})
        except JournalFull as error:
            log.warning("no room to shorten the journal: %s", error)
        else:
            log.info("the journal is %d MB now, was %d", self._journal.size_bytes >> 20, before_bytes >> 20)
        # What is left is what a checkpoint cannot give back: the next one when half as much came to it.
        left_bytes = self._journal.size_bytes
        self._next_at_bytes = max(self._journal_bytes, left_bytes + self._journal_bytes // 2)
