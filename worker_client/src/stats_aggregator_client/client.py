"""StatsClient: one worker's side of the connection to one daemon."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from stats_aggregator_api import __version__

from . import multiprocess, naming
from .buffer import CategoryBuffer
from .clock import Clock
from .complaints import Complaints
from .counts import Counts
from .hooks import PROCESS
from .log import LOGGER
from .null import NullBuffer
from .outbox import Outbox
from .reporter import StatsReporter
from .sender import Sender
from .session import Session, State
from .settings import check_name, make_settings
from .statistics import ClientStatistics
from .wire import Closing

_NEVER_REACHED_S = 1.0
_GOODBYE_S = 1.0
# libzmq's sockets of a parent must be neither used nor closed in a forked child, so they are kept there.
_of_parents: list[Sender] = []


class StatsClient:
    """Sends what its reporters are given to a stats-aggregator daemon, acknowledged and without blocking.

    A context manager: leaving it delivers what waits, at most for `close_timeout_s`. Also the end of the
    process does. A forked child that uses it gets a session, a socket and a thread of its own and begins
    with empty buffers; the parent's are untouched.
    """

    def __init__(
        self,
        address: str | None = None,
        worker: str | None = None,
        run: str | None = None,
        *,
        buffer_bytes: int = 64 << 20,
        on_full: str = "fold",
        flush_interval_s: float = 0.5,
        ack_timeout_s: float = 10.0,
        close_timeout_s: float = 5.0,
    ) -> None:
        """Connect in the background; nothing needs to listen yet.

        `address` is `tcp://HOST:PORT`, `ipc://PATH`, `@PATH` of a file that holds it, or `off`; else
        STATS_AGGREGATOR_ADDRESS, else tcp://127.0.0.1:5757. `worker` and `run` likewise, from
        STATS_AGGREGATOR_WORKER and STATS_AGGREGATOR_RUN_ID. `buffer_bytes` bounds what waits for a daemon.
        Where it is full `on_full="fold"` folds the oldest values not yet sent: counts, sums, means, spreads
        and extremes stay exact, percentiles become approximate; "drop_oldest" drops them. What is dropped is
        counted. Raises SettingError.
        """
        self._settings = make_settings(
            address,
            worker,
            run,
            buffer_bytes=buffer_bytes,
            on_full=on_full,
            flush_interval_s=flush_interval_s,
            ack_timeout_s=ack_timeout_s,
            close_timeout_s=close_timeout_s,
        )
        self._worker = self._settings.worker or naming.default_worker(os.environ)
        self._process_name = multiprocess.process_name()
        self._forked = self._closed = False
        self._buffers: dict[str, CategoryBuffer] = {}
        self._sender: Sender | None = None
        self._complaints = Complaints()
        self._make_outbox()
        if not self._settings.off:
            PROCESS.add(self)
            self._wake()

    def reporter(self, category: str) -> StatsReporter:
        """Return a reporter of `category`, whose periods end by time until its `write_stats` is called.

        Raises SettingError where `category` is no name.
        """
        return StatsReporter.over(category, self.buffer(category, Closing.TIME))

    def flush(self, timeout: float = 5.0) -> bool:
        """Send all that was added, and wait until it is acknowledged; return whether it is.

        At most `timeout` seconds. False also where values had to be given up meanwhile.
        """
        if self._settings.off:
            return True
        given_up = self._counts.not_delivered
        self._cut_all()
        if self._outbox.unsettled:
            self._wake()
        return self._outbox.wait_settled(timeout) and self._counts.not_delivered == given_up

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits, at most for `timeout` seconds, and end; return whether all was acknowledged.

        None means `close_timeout_s`. Later calls of the reporters do nothing but count. Closing twice is
        fine.
        """
        if self._settings.off or self._closed:
            return True
        if self._outbox.door.postpones(self.close, timeout):
            return False  # a signal handler asks, and its own thread has half done what is to be delivered
        for buffer in list(self._buffers.values()):
            buffer.steps.end(is_last=True)
        settled = self.flush(self._settings.close_timeout_s if timeout is None else timeout)
        with self._outbox.door.lock:
            already, self._closed = self._closed, True
        if already:
            return settled
        for buffer in list(self._buffers.values()):
            buffer.cut()
            buffer.close()
        PROCESS.remove(self)
        if self._sender is not None:
            self._sender.stop(_GOODBYE_S)
        self._settle_accounts()
        return settled

    def statistics(self) -> ClientStatistics:
        """Return what became of all values so far."""
        counts, outbox = self._counts, self._outbox
        session = self._sender.session if self._sender else None
        state = session.state if session else State.ABSENT
        with outbox.door.lock:
            added = counts.added + sum(buffer.columns.hot_values() for buffer in self._buffers.values())
            settled = counts.acked + counts.lost + counts.uncertain + counts.rejected
            pending = added - settled
            uncut = sum(buffer.columns.waiting_values() for buffer in self._buffers.values())
            pending_bytes = outbox.unsent_bytes + outbox.unacked_bytes + 8 * uncut
        off_or_closed = "off" if self._settings.off else "closed" if self._closed else None
        return ClientStatistics(
            state=off_or_closed or state.value,
            connected=state is State.OPEN and not self._closed,
            worker=session.worker if session else self._wished_worker(),
            run=session.run if session else self._settings.run,
            values_added=added,
            values_folded=counts.folded,
            values_sent=counts.sent,
            values_acked=counts.acked,
            values_lost=counts.lost,
            values_uncertain=counts.uncertain,
            values_rejected=counts.rejected,
            values_pending=pending,
            pending_bytes=pending_bytes,
            not_numbers=counts.not_numbers,
            bad_names=counts.bad_names,
            bad_calls=counts.bad_calls,
            after_close=counts.after_close,
            notes_lost=counts.notes_lost,
            notes_uncertain=counts.notes_uncertain,
            steps_uncertain=counts.steps_uncertain,
            batches_acked=counts.batches_acked,
            batches_resent=counts.batches_resent,
            connections=counts.connections,
        )

    def __enter__(self) -> StatsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For reporters and hooks.

    def buffer(self, category: str, closing: Closing) -> CategoryBuffer | NullBuffer:
        """Return what takes the values of `category`: one for all of its reporters, and WRITE wins."""
        check_name("category", category)
        if self._settings.off:
            return NullBuffer()
        with self._outbox.door.lock:
            buffer = self._buffers.get(category)
            if buffer is None:
                buffer = self._buffers[category] = CategoryBuffer(category, closing, self._outbox)
                if self._closed:
                    buffer.close()
            elif closing is Closing.WRITE:
                buffer.close_by_write()
            return buffer

    def after_fork_in_child(self) -> None:
        """Begin anew: another session, socket, thread and locks, and nothing to send."""
        if self._sender is not None:
            self._sender.abandon()
            _of_parents.append(self._sender)
            self._sender = None
        self._worker, self._forked = self._wished_worker(), True
        self._process_name = multiprocess.process_name()
        self._make_outbox()
        for buffer in self._buffers.values():
            buffer.move_to(self._outbox)

    def deliver(self, timeout: float) -> bool:
        """Do as `flush`, less patiently where no daemon was ever there."""
        return self.flush(self._patience_s(timeout))

    def finish(self) -> None:
        """Close at the end of the process: less patiently where no daemon was ever there."""
        if self._sender is not None:
            self.close(self._patience_s(self._settings.close_timeout_s))

    def _patience_s(self, timeout: float) -> float:
        """Return how long to wait for a daemon: where none was ever there, it is given its second now."""
        first = min(_NEVER_REACHED_S, timeout)
        if self._has_greeted():
            return timeout
        self.flush(first)
        # Somebody who takes a HELLO may only be slow to answer.
        return timeout - first if self._has_greeted() else 0.0

    def _has_greeted(self) -> bool:
        return self._sender is not None and self._sender.session.has_greeted

    def _make_outbox(self) -> None:
        self._counts = Counts()
        self._outbox = Outbox(
            self._settings.buffer_bytes,
            Clock(),
            self._counts,
            self._complaints,
            self._wake,
            folds=self._settings.on_full == "fold",
        )

    def _wake(self) -> None:
        """Start the sender at the first use in this process, or have it look."""
        sender = self._sender
        if sender is not None:
            sender.wake()
            return
        with self._outbox.door.lock:
            if self._sender is None and not self._closed:
                self._start()

    def _start(self) -> None:
        settings = self._settings
        is_child = PROCESS.is_forked or multiprocess.is_child()
        # An interpreter that is embedded may have no arguments.
        info = naming.process_info(__version__, os.environ, getattr(sys, "argv", ()), is_child=is_child)
        session = Session(
            self._outbox,
            naming.Identity(self._wished_worker(), settings.run, PROCESS.id, info),
            settings.address,
            ack_timeout_ns=int(settings.ack_timeout_s * 1e9),
            # What is in flight is never dropped: it may take no more than half of the memory.
            max_unacked_bytes=settings.buffer_bytes // 2,
        )
        sender = Sender(
            session,
            self._outbox,
            settings.address,
            int(settings.flush_interval_s * 1e9),
            self._cut_all,
            lambda: self.statistics().values_pending,
        )
        try:
            sender.start()
        except RuntimeError as error:  # the interpreter is ending, or the system gives no more threads
            self._complaints.once("thread", "stats are kept and not sent: %s", error)
            sender.abandon()
            return
        self._sender = sender
        PROCESS.arm()

    def _wished_worker(self) -> str:
        # A child's process name is only known some time after the fork.
        return naming.child_worker(self._worker, self._process_name) if self._forked else self._worker

    def _cut_all(self) -> None:
        for buffer in list(self._buffers.values()):
            buffer.cut()
            buffer.tidy()

    def _settle_accounts(self) -> None:
        """Count what could not be delivered, and say so."""
        self._outbox.lose_all()
        counts = self._counts
        with self._outbox.door.lock:
            counts.uncertain += max(
                counts.added - counts.acked - counts.lost - counts.uncertain - counts.rejected, 0
            )
        if counts.lost or counts.uncertain:
            LOGGER.warning("closed with %s", counts.what_was_lost(self._settings.address))
