"""Closer: the thread that turns ended periods into stored summaries."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stats_aggregator_api import Cause, Period
from stats_aggregator_client.wire import Property

from ..errors import StoreBusy, StoreFull
from ..journal.decisions import Closed
from ..periods.periods import OpenPeriod
from ..pooling.beside import summaries_of
from ..store.store import ClosedPeriod, Entry, HeardRun, NewProperty, Store, period_id
from .state import EndedPeriod

log = logging.getLogger(__name__)

_RETRY_S = 1.0
_TIDY_EVERY, _TIDY_LIMIT = 64, 200
"""After so many jobs room is given back, in so many steps at least."""

_SET_BYTES, _SET_JOBS = 32 << 20, 1024
"""What one transaction stores at most, but for its last job: so long others wait for SQLite's lock."""
_BEHIND_BYTES, _BEHIND_JOBS = 64 << 20, 4096
"""What may wait before credit is withdrawn."""
_FAR_BEHIND_BYTES, _FAR_BEHIND_JOBS = 256 << 20, 16_384
"""What may wait before nothing more is taken."""
_PERIOD_BYTES, _SERIES_BYTES = 12_288, 512
"""About what a period takes beside its values, and each of its series; measured."""
_ITEM_BYTES = 64
"""The same of each part of a property's value."""


class RunBegan(NamedTuple):
    """A run had its first worker: its writers are made now, before its first period."""

    run: str
    began_ns: int


Job = EndedPeriod | RunBegan | tuple[str, Property]


class Submitted(NamedTuple):
    """A job that waits, and about how much memory it holds."""

    job: Job
    size_bytes: int


class Closer:
    """Stores what the engine hands it, in order, all that waits in one transaction.

    `stored` collects the pins of what is stored, for the journal; `on_stored` is called after each
    transaction, on the closer's thread. A full disk, and a store that another program writes to, are waited
    out, and `waits_for` says for what; any other error goes to `on_failure`, and nothing follows.
    """

    def __init__(
        self,
        store: Store,
        server_id: bytes,
        on_stored: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._server_id = server_id
        self._on_stored = on_stored
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[Submitted | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="closer", daemon=True)
        # Each of these four is written by one thread alone.
        self._submitted = self._submitted_bytes = 0
        self._done = self._done_bytes = 0
        self._untidied = 0
        self._is_ending = False
        self.stored: deque[object] = deque()
        self.waits_for = ""

    @property
    def waiting(self) -> int:
        """How many jobs are not stored yet."""
        return self._submitted - self._done

    @property
    def waiting_bytes(self) -> int:
        """About how much memory is held by what is not stored yet."""
        return self._submitted_bytes - self._done_bytes

    def has_enough(self, more: int, more_bytes: int) -> bool:
        """Return whether, with so much more, the next transaction is full: the rest may as well wait open."""
        return self.waiting + more >= _SET_JOBS or self.waiting_bytes + more_bytes >= _SET_BYTES

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that workers should send no more for now."""
        return self.waiting > _BEHIND_JOBS or self.waiting_bytes > _BEHIND_BYTES

    @property
    def is_far_behind(self) -> bool:
        """Whether so much waits that nothing more may be taken."""
        return self.waiting > _FAR_BEHIND_JOBS or self.waiting_bytes > _FAR_BEHIND_BYTES

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over an ended period or a property; never blocks."""
        size_bytes = bytes_of(job)
        self._submitted += 1
        self._submitted_bytes += size_bytes
        self._jobs.put(Submitted(job, size_bytes))

    def stop(self, timeout_s: float) -> bool:
        """Store what is waiting, end the thread, and return whether all of it is stored.

        Where it waits for something, that comes in half of the time or not at all.
        """
        self._jobs.put(None)
        self._thread.join(timeout_s / 2)
        if not self.waits_for:
            self._thread.join(timeout_s / 2)
        self._stopping.set()  # past the time, a wait for room on the disk ends too
        return self.waiting == 0

    def _work(self) -> None:
        try:
            # What was stored is let go of before the next is waited for.
            while not self._is_ending and self._store_next():
                if self._untidied >= _TIDY_EVERY:
                    self._tidy()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing more may be acknowledged
            self._on_failure(error)

    def _tidy(self) -> None:
        try:
            # As much as was stored, so that no room is left behind.
            self._store.tidy(max(_TIDY_LIMIT, 2 * self._untidied))
        except (StoreFull, StoreBusy):
            pass  # even giving back room takes some: at a later turn
        self._untidied = 0

    def _store_next(self) -> bool:
        """Wait for jobs, and store all that wait; return False where the end came first."""
        jobs = self._next_jobs()
        if not jobs:
            return False
        entries, pins = self._entries([job for job, _ in jobs])
        while not self._stopping.is_set():
            try:
                self._store.store(entries)
            except (StoreFull, StoreBusy) as error:
                waits_for = "room on the disk" if isinstance(error, StoreFull) else "the lock of the store"
                if self.waits_for != waits_for:
                    log.error("waiting for %s: %s", waits_for, error)
                self.waits_for = waits_for
                self._stopping.wait(_RETRY_S)
                continue
            self.waits_for = ""
            self.stored.extend(pins)
            self._done += len(jobs)
            self._done_bytes += sum(size_bytes for _, size_bytes in jobs)
            self._untidied += len(jobs)
            self._on_stored()
            return True
        return False

    def _next_jobs(self) -> list[Submitted]:
        """Wait for a job; return it with those that wait behind it, as many as fit one transaction."""
        jobs: list[Submitted] = []
        size_bytes = 0
        while size_bytes < _SET_BYTES and len(jobs) < _SET_JOBS:
            try:
                submitted = self._jobs.get(block=not jobs)
            except queue.Empty:
                break
            if submitted is None:
                self._is_ending = True
                break
            jobs.append(submitted)
            size_bytes += submitted.size_bytes
        return jobs

    def _entries(self, jobs: Sequence[Job]) -> tuple[list[Entry], list[object]]:
        """Return what the store gets for these jobs, as often as it takes, and the pins that they free."""
        ended = [job for job in jobs if isinstance(job, EndedPeriod)]
        rows = iter(summaries_of([period.accumulator for period, _ in ended]))
        entries: list[Entry] = []
        pins: list[object] = []
        for job in jobs:
            if isinstance(job, EndedPeriod):
                period, closed = job
                found = next(rows)
                log.debug("%s closes by %s with %d series", closed.category, closed.cause, len(found))
                entries.append(ClosedPeriod(self._described(job), period.accumulator.num_values, found))
                pins.append(period.key)
            elif isinstance(job, RunBegan):
                entries.append(HeardRun(*job))
                pins.append(job)
            else:
                run, message = job
                fields = (message.category, message.type, message.value, message.session, message.seq)
                entries.append(NewProperty(run, *fields))
                pins.append((message.session, message.seq))
        return entries, pins

    def _described(self, ended: EndedPeriod) -> Period:
        period, closed = ended
        run, category, ordinal = period.key
        return Period(
            run=run,
            category=category,
            ordinal=ordinal,
            id=period_id(self._server_id, run, category, ordinal),
            start=period.start_ns if closed.start_ns < 0 else closed.start_ns,
            end=closed.end_ns,
            step=closed.step,
            workers_reporting=_reporting(period, closed),
            workers_expected=closed.workers_expected,
            late=period.late,
            lost=period.lost,
            uncertain=period.uncertain,
            duplicates=closed.duplicates,
            missing=tuple(closed.missing),
            cause=Cause(closed.cause),
        )


def bytes_of(job: Job) -> int:
    """Return about how much memory a job holds."""
    if isinstance(job, EndedPeriod):
        accumulator = job.period.accumulator
        return sum(accumulator.weight) + _SERIES_BYTES * len(accumulator.series) + _PERIOD_BYTES
    return _PERIOD_BYTES if isinstance(job, RunBegan) else _PERIOD_BYTES + _value_bytes(job[1].value)


def _value_bytes(value: object) -> int:
    if isinstance(value, str | bytes):
        return _ITEM_BYTES + len(value)
    if isinstance(value, Mapping):
        return _ITEM_BYTES + sum(_value_bytes(key) + _value_bytes(found) for key, found in value.items())
    if isinstance(value, Sequence):
        return _ITEM_BYTES + sum(map(_value_bytes, value))
    return _ITEM_BYTES


def _reporting(period: OpenPeriod, closed: Closed) -> int:
    """Return how many workers are in the period; a journal of before has no number of them."""
    return len(period.accumulator.workers) if closed.workers_reporting < 0 else closed.workers_reporting
