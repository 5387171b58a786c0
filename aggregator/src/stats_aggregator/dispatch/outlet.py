"""Outlet: one writer in one run, its place in the queue, and what happens when it fails."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from stats_aggregator_api import PeriodSummaries, StatsPropertyType, StatsWriter

from .. import failpoints
from ..store.outbox import Outbox, WriterKey
from ..store.store import Store, StoredPeriod, StoredProperty
from .failures import Failures
from .step import AGAIN, IDLE, Step
from .tap import Tap
from .terms import Terms

Entry = StoredPeriod | StoredProperty


class Entries:
    """The entries of a run, read once for all writers of a plugin that stand at the same place."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._run = store, run
        self._after = -1
        self._entry: Entry | None = None

    def after(self, position: int) -> Entry | None:
        """Return the first entry after `position`."""
        if self._entry is None or position != self._after:
            self._after, self._entry = position, self._store.next_entry(self._run, position)
        return self._entry

    def until(self, position: int) -> list[StoredProperty]:
        """Return the properties that a fresh writer at `position` has missed."""
        return self._store.properties_until(self._run, position)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the outlets of a plugin in a run share."""

    entries: Entries
    outbox: Outbox
    tap: Tap
    failures: Failures
    terms: Terms


class Outlet:
    """Delivers what is stored to one writer, in order, each entry until the writer has taken it.

    Entries that it cannot take are set aside after some attempts; OSErrors are retried for ever.
    """

    def __init__(self, writer: StatsWriter, key: WriterKey, around: Surroundings) -> None:
        self.key = key
        self._writer = writer
        self._around = around
        self._failures = 0
        self._faults = 0
        self._due_s = 0.0
        # What is still to be noted in the store of a call that has returned.
        self._owed: Callable[[], None] | None = None
        kind = type(writer)
        around.outbox.open_writer(key, f"{kind.__module__}.{kind.__qualname__}")
        self._missed = deque(around.entries.until(around.outbox.position(key)))

    def hurry(self) -> None:
        """Make the next attempt at once, whatever the backoff says."""
        self._due_s = 0.0

    def step(self) -> Step:
        """Deliver the next entry if there is one and its time has come."""
        around = self._around
        self._settle()
        if (wait_s := self._due_s - around.terms.now_s()) > 0:
            return Step(wait_s, failing=True)
        entry = self._missed[0] if self._missed else around.entries.after(around.outbox.position(self.key))
        if entry is None:
            return IDLE
        if isinstance(entry, StoredPeriod):
            wait_s = around.tap.wait_s(self._writer, entry)
            if wait_s > 0:
                return Step(wait_s)
        try:
            with around.terms.calling(self.key.run):
                failpoints.reach("writers.call.before")
                self._call(entry)
                failpoints.reach("writers.call.after")
        except BaseException as error:  # noqa: BLE001 - SystemExit too is the writer's failure
            return self._failed(entry, error)
        self._done(entry, lambda: around.outbox.delivered(self.key, entry.position))
        return AGAIN

    def _call(self, entry: Entry) -> None:
        if isinstance(entry, StoredProperty):
            self._writer.add_property(entry.category, StatsPropertyType(entry.type), entry.value)
            return
        period = entry.summaries.period
        unseen = self._around.tap.unseen(self._writer, entry)
        values = (
            PeriodSummaries(replace(period, unseen=unseen), entry.summaries) if unseen else entry.summaries
        )
        self._writer.write_stats(period.category, values, period.step)

    def _failed(self, entry: Entry, error: BaseException) -> Step:
        around = self._around
        self._failures += 1
        self._faults += not isinstance(error, OSError)
        if self._faults >= around.terms.retry.attempts:
            text = around.failures.say(str(entry), error, f"set aside after {self._faults} attempts")
            self._done(entry, lambda: around.outbox.set_aside(self.key, entry.position, str(entry), text))
            return AGAIN
        # Jitter keeps writers of one service from coming back all at once; it needs no good randomness.
        wait_s = around.terms.retry.delay_s(self._failures, random.random())
        text = around.failures.say(str(entry), error, f"next attempt in {wait_s:.1f} s")
        self._due_s = around.terms.now_s() + wait_s
        around.outbox.retries(self.key, self._failures, around.terms.now_ns() + int(wait_s * 1e9), text)
        return Step(wait_s, failing=True)

    def _done(self, entry: Entry, note: Callable[[], None]) -> None:
        if isinstance(entry, StoredPeriod):
            self._around.tap.written(self._writer, entry)
        if self._missed:
            # It stands before the cursor, which does not move for it.
            self._missed.popleft()
        self._failures = self._faults = 0
        self._due_s = 0.0
        self._owed = note
        self._settle()

    def _settle(self) -> None:
        # Where the store is full this raises, and is the next step again: the writer is called once.
        if self._owed:
            failpoints.reach("writers.cursor.before")
            self._owed()
            self._owed = None
            failpoints.reach("writers.cursor.after")

    def close(self) -> None:
        """Close the writer; what it raises is logged."""
        try:
            with self._around.terms.calling(self.key.run):
                self._writer.close()
        except BaseException as error:  # noqa: BLE001 - SystemExit too is the writer's failure
            self._around.failures.say("close()", error, "nothing more is done about it")
        self._around.outbox.closed(self.key)
