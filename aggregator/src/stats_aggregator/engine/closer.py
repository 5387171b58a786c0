"""Closer: the thread that turns ended periods into stored summaries."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from stats_aggregator_api import Cause, Period
from stats_aggregator_client.wire import Property

from ..errors import StoreBusy, StoreFull
from ..journal.decisions import Closed
from ..periods.periods import OpenPeriod
from ..pooling.summaries import SummaryRows
from ..store.store import Store, period_id
from .state import EndedPeriod

log = logging.getLogger(__name__)

_RETRY_S = 1.0
_TIDY_EVERY = 64


class RunBegan(NamedTuple):
    """A run had its first worker: its writers are made now, before its first period."""

    run: str
    began_ns: int


Job = EndedPeriod | RunBegan | tuple[str, Property]


class Closer:
    """Stores what the engine hands it, in order, each in one transaction.

    `stored` collects the pins of what is stored, for the journal; `on_stored` is called after each, on the
    closer's thread. A full disk, and a store that another program writes to, are waited out, and `waits_for`
    says for what; any other error goes to `on_failure`, and nothing follows.
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
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="closer", daemon=True)
        self._submitted = 0
        self._done = 0
        self.stored: deque[object] = deque()
        self.waits_for = ""

    @property
    def waiting(self) -> int:
        """How many jobs are not stored yet."""
        return self._submitted - self._done

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over an ended period or a property; never blocks."""
        self._submitted += 1
        self._jobs.put(job)

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
            while (job := self._jobs.get()) is not None:
                if not self._store_job(job):
                    return
                self._done += 1
                if self._done % _TIDY_EVERY == 0:
                    self._tidy()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing more may be acknowledged
            self._on_failure(error)

    def _tidy(self) -> None:
        try:
            self._store.tidy()
        except (StoreFull, StoreBusy):
            pass  # even giving back room takes some: at a later turn

    def _store_job(self, job: Job) -> bool:
        """Store one job; return False where the end came while it waited for room."""
        store, pin = self._prepared(job)
        while not self._stopping.is_set():
            try:
                store()
            except (StoreFull, StoreBusy) as error:
                waits_for = "room on the disk" if isinstance(error, StoreFull) else "the lock of the store"
                if self.waits_for != waits_for:
                    log.error("waiting for %s: %s", waits_for, error)
                self.waits_for = waits_for
                self._stopping.wait(_RETRY_S)
                continue
            self.waits_for = ""
            self.stored.append(pin)
            self._on_stored()
            return True
        return False

    def _prepared(self, job: Job) -> tuple[Callable[[], object], object]:
        """Return what stores the job, as often as it takes, and the pin that it frees."""
        if isinstance(job, EndedPeriod):
            period, closed = job
            rows = SummaryRows(period.accumulator)
            log.debug("%s closes by %s with %d series", closed.category, closed.cause, len(rows))
            described, num_values = self._described(job), period.accumulator.num_values
            return lambda: self._store.close_period(described, num_values, rows), period.key
        if isinstance(job, RunBegan):
            return lambda: self._store.touch_run(*job), job
        run, message = job
        fields = (message.category, message.type, message.value, message.session, message.seq)
        return lambda: self._store.add_property(run, *fields), (message.session, message.seq)

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


def _reporting(period: OpenPeriod, closed: Closed) -> int:
    """Return how many workers are in the period; a journal of before has no number of them."""
    return len(period.accumulator.workers) if closed.workers_reporting < 0 else closed.workers_reporting
