"""Engine: messages in, decisions journaled, values pooled, replies out.

One thread calls it, so nothing in it has a lock; the socket is not its business. For each group of messages:
decide, append to the journal and sync once, apply, and only then reply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from stats_aggregator_client.wire import (
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Partial,
    Property,
    RejectCode,
    Rewind,
    Status,
    StatusReply,
    WireError,
    Write,
    decode,
)

from ..clock import Clock
from ..errors import JournalFull
from ..journal.journal import Journal, NullJournal
from ..periods.periods import OpenPeriod
from ..pooling.accumulators import NotFinite
from .answers import Answers
from .closer import Closer, RunBegan
from .group import Group
from .keeper import PeriodKeeper
from .reception import Reception
from .sayings import Sayings
from .sessions import Liveness, Session
from .state import State

log = logging.getLogger(__name__)

_MAX_WAITING = 2
"""Jobs that may wait for the closer before credit is withdrawn."""
_MAX_BACKLOG = 1024
"""Jobs that may wait for the closer before nothing more is taken."""
_JUDGE_EVERY_NS = 1_000_000_000

Received = tuple[bytes, bytes]


class RawFeed(Protocol):
    """Where raw values go that a writer wants to see one by one; it never blocks."""

    @property
    def wanted(self) -> bool:
        """Whether any writer wants to see raw values."""

    def batch(self, run: str, category: str, ordinal: int, frame: bytes) -> None:
        """Show a batch."""

    def closed(self, run: str, category: str, ordinal: int) -> None:
        """Say that a period's last batch was shown."""


class Engine:
    """The one owner of journal and state.

    `handle` takes a group of `(peer, frame)`, `tick` lets time pass; both return the `(peer, frame)` replies
    to send; `report` answers STATUS. While `stalled`, a group waits for room on the disk, and none is taken.
    """

    def __init__(
        self,
        state: State,
        journal: Journal | NullJournal,
        closer: Closer,
        clock: Clock,
        feed: RawFeed,
        report: Callable[[], Mapping[str, Any]],
        *,
        server_id: bytes,
        run: str,
        grace_ns: int,
        windows_ns: Sequence[int],
    ) -> None:
        self.state = state
        self.journal = journal
        self.closer = closer
        self.server_id = server_id
        self.run = run
        sayings = Sayings(log)
        self.reception = Reception(state, server_id, run, sayings)
        self.keeper = PeriodKeeper(state, grace_ns, sayings)
        self._clock = clock
        self._feed = feed
        self._report = report
        self._sayings = sayings
        self._grace_ns = grace_ns
        self._answers = Answers(server_id, windows_ns)
        self.stopping = False
        self._begun_runs: set[str] = set()
        self._waiting_group: Group | None = None
        self._credit_withdrawn = False
        self._judged_ns = 0

    @property
    def stalled(self) -> bool:
        """Whether a group waits for room on the disk."""
        return self._waiting_group is not None

    def handle(self, received: Iterable[Received]) -> list[Received]:
        """Take a group of messages, store it, and return the replies."""
        group = Group(self._clock.now_ns())
        # Who ignores the credit must not fill the memory with periods that wait for the closer.
        self.reception.stalled = self.stalled or self.closer.waiting > _MAX_BACKLOG
        for peer, frame in received:
            try:
                message = decode(frame)
            except WireError as error:
                self.reception.refuse_frame(group, peer, error)
                continue
            self._take(group, peer, frame, message)
        return self._commit(group)

    def _take(self, group: Group, peer: bytes, frame: bytes, message: object) -> None:
        reception = self.reception
        reception.received[type(message).__name__.lower()] += 1
        if isinstance(message, Batch):  # the most frequent by far
            session = reception.admit(group, peer, message)
            if session is not None:
                session.batches += 1
                session.values += len(message.values) // 8
                self.keeper.batch(group, session, message, frame)
        elif isinstance(message, Hello):
            reception.hello(group, peer, message)
        elif isinstance(message, Heartbeat | Bye):
            reception.life(group, peer, message)
        elif isinstance(message, Partial | Property | Write | Rewind):
            session = reception.admit(group, peer, message)
            if session is not None:
                self._control(group, session, frame, message)
        elif isinstance(message, Status):
            group.replies.append((peer, StatusReply(self._report())))
        else:
            text = f"{type(message).__name__} is no message for a daemon"
            reception.refuse_frame(group, peer, WireError(RejectCode.KIND, text))

    def _control(
        self, group: Group, session: Session, frame: bytes, message: Partial | Property | Write | Rewind
    ) -> None:
        if isinstance(message, Write):
            self.keeper.write(group, session, message, frame)
        elif isinstance(message, Rewind):
            self.keeper.rewind(group, session, message, frame)
        elif isinstance(message, Property):
            group.add_property(session.run, message, frame)

    # Storing a group.

    def _commit(self, group: Group) -> list[Received]:
        """Journal a group, apply it, and return the replies; where the disk is full, let it wait."""
        records = group.records()
        if records:
            try:
                self.journal.append(records, group.pins)
            except JournalFull as error:
                log.error("not acknowledging: %s", error)
                self._waiting_group = group
                return []
            self._apply(group)
        return self._replies(group)

    def _apply(self, group: Group) -> None:
        for session in group.taken.values():
            session.durable_seq = session.taken_seq
        for session in group.welcomes.values():
            if session.run not in self._begun_runs:
                self._begun_runs.add(session.run)
                self.closer.submit(RunBegan(session.run, group.now_ns))
        for period, frame in group.shown if self._feed.wanted else ():
            self._feed.batch(*period.key, frame)
        for period in group.apply():
            self._say_oddities(period)
        for named in group.properties:
            self.closer.submit(named)
        for ended in group.ended:
            self.closer.submit(ended)
            self._feed.closed(*ended.period.key)

    def _say_oddities(self, period: OpenPeriod) -> None:
        """Log what producers should know of: NaN and infinities, and disagreement on an aggregation."""
        run, category, _ = period.key
        for odd in period.accumulator.take_oddities():
            if isinstance(odd, NotFinite):
                text = (
                    f"is NaN or infinite, first from worker {odd.worker} (step {odd.step}); such values are "
                    "counted apart"
                )
            else:
                text = (
                    f"came as {odd.taken.name} from worker {odd.worker} and as {odd.refused.name} from "
                    f"worker {odd.other_worker}; the first stands for the period"
                )
            self._sayings.once((type(odd), run, category, odd.key), "%s of %s %s", odd.key, category, text)

    def _replies(self, group: Group) -> list[Received]:
        return self._answers.to_group(group, self._credit_bytes())

    def _credit_bytes(self) -> int:
        self._credit_withdrawn = self.stopping or self.stalled or self.closer.waiting > _MAX_WAITING
        return 0 if self._credit_withdrawn else self.state.sessions.credit_bytes()

    # Time.

    def tick(self) -> list[Received]:
        """Let time pass: free what is stored, close what is due, judge who is silent; return the replies."""
        self.release_stored()
        now_ns = self._clock.now_ns()
        if now_ns - self._judged_ns >= _JUDGE_EVERY_NS:
            self._judge_sessions(now_ns)
            self.keeper.say_who_waits(now_ns)
        if self._waiting_group is not None:
            return self._try_again(self._waiting_group)
        return [*self._close_due(now_ns), *self._give_credit_back(now_ns)]

    def release_stored(self) -> None:
        """Let the journal give back the room of what is stored."""
        while self.closer.stored:
            self.journal.release(self.closer.stored.popleft())

    def _judge_sessions(self, now_ns: int) -> None:
        elapsed_s, self._judged_ns = (now_ns - self._judged_ns) / 1e9, now_ns
        for session in self.state.sessions:
            session.measure(elapsed_s)
        for session, was in self.state.sessions.judge_all(now_ns):
            if session.liveness is Liveness.LOST:
                text = "worker %s of run %s is lost: unheard for a minute"
                self._sayings.limited(text, session.worker, session.run)
            elif was is Liveness.LOST and session.liveness is Liveness.ALIVE:
                log.info("worker %s of run %s is back", session.worker, session.run)

    def _try_again(self, group: Group) -> list[Received]:
        try:
            self.journal.append(group.records(), group.pins)
        except JournalFull:
            return []
        log.warning("there is room on the disk again: going on")
        self._waiting_group = None
        self._apply(group)
        return self._replies(group)

    def _close_due(self, now_ns: int) -> list[Received]:
        """Close what ends by the clock, once every worker had the time to say HELLO after a start."""
        first_hello_ns = self.reception.first_hello_ns
        if first_hello_ns is None or now_ns < first_hello_ns + self._grace_ns:
            return []
        group = Group(now_ns)
        for category, period, cause in self.keeper.due(now_ns):
            if self.closer.waiting + len(group.ended) >= _MAX_WAITING:
                break
            self.keeper.close(group, category, period, cause)
        return self._commit(group)

    def _give_credit_back(self, now_ns: int) -> list[Received]:
        if not self._credit_withdrawn:
            return []
        credit = self._credit_bytes()
        if self._credit_withdrawn:
            return []
        connected = ((session, session.peer) for session in self.state.sessions)
        return [(peer, self._answers.ack(session, credit, now_ns)) for session, peer in connected if peer]

    def close_misfits(self) -> None:
        """Close what another `every` left open before this start, and nothing would end now."""
        group = Group(self._clock.now_ns())
        for category in list(self.state.categories.values()):
            for period in category.misfits():
                self.keeper.close(group, category, period, "every")
        self._commit(group)

    # The end.

    def stop(self, close_all: bool) -> int:
        """Close what ends with the daemon, or all; return how many values wait for the next start.

        Nothing is acknowledged any more; a disk that is full now keeps all for the next start.
        """
        self.stopping = True
        keeper = self.keeper
        if self._waiting_group is None:
            group = Group(self._clock.now_ns())
            for category, period, cause in keeper.ending(close_all):
                keeper.close(group, category, period, cause)
            self._commit(group)
        ended = self._waiting_group.ended if self._waiting_group is not None else []
        waiting = [*(period for _, period in keeper.open_periods()), *(period for period, _ in ended)]
        return sum(period.accumulator.num_values for period in waiting)
