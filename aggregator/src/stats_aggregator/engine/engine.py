"""Engine: messages in, decisions journaled, values pooled, replies out.

One thread calls it, so nothing in it has a lock; the socket is not its business. For each group of messages:
decide, append to the journal, pool the values while the disk works, and only then reply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from ..clock import Clock
from ..errors import JournalFull
from ..journal.journal import AnyJournal
from ..periods.periods import PeriodKey
from .answers import Answers, Credit
from .closer import Closer, RunBegan, bytes_of
from .group import Group
from .intake import Intake
from .journal_limit import JournalLimit
from .keeper import PeriodKeeper
from .memory import Memory
from .oddities import say_oddities
from .punctuality import Punctuality
from .raw_feed import RawFeed
from .reception import Reception
from .reconnect_wait import ReconnectWait
from .roll_call import RollCall
from .sayings import Sayings
from .sessions import Session
from .state import State

log = logging.getLogger(__name__)

_CLOSED_AT_ONCE = 256
"""So many periods that are due end in one group: more would keep those that wait for an answer."""

Received = tuple[bytes, bytes]


class Engine:
    """The one owner of journal and state.

    `handle` takes a group of `(peer, frame)`, `tick` lets time pass; both return the `(peer, frame)` replies
    to send. `report` hears who asks for STATUS; `reaches` sends a frame to a peer, and says whether that is
    connected. While `stalled`, a group waits for room on the disk, and none is taken.
    """

    def __init__(
        self,
        state: State,
        journal: AnyJournal,
        closer: Closer,
        clock: Clock,
        feed: RawFeed,
        report: Callable[[bytes], None],
        *,
        server_id: bytes,
        run: str,
        grace_ns: int,
        windows_ns: Sequence[int],
        retain_bytes: int,
        journal_bytes: int,
        reaches: Callable[[bytes, bytes], bool],
    ) -> None:
        self.state = state
        self.journal = journal
        self.closer = closer
        self.server_id, self.run = server_id, run
        sayings = Sayings(log)
        self._roll = RollCall(state.sessions, sayings, self._is_reached)
        reconnect_wait = ReconnectWait(state.sessions, clock.now_ns(), grace_ns)
        self.reception = Reception(state, server_id, run, sayings, reconnect_wait, self._is_reached)
        self.keeper = PeriodKeeper(state, grace_ns, sayings)
        self._clock = clock
        self._feed, self._reaches = feed, reaches
        self._intake = Intake(self.reception, self.keeper, report)
        self._sayings = sayings
        self.memory = Memory(retain_bytes, sayings)
        self._journal_limit = JournalLimit(journal, journal_bytes)
        self._answers = Answers(server_id, windows_ns)
        self.stopping = False
        self._begun_runs: set[str] = set()
        self._waiting_group: Group | None = None
        self._punctuality = Punctuality()
        self._credit_withdrawn = False

    @property
    def stalled(self) -> bool:
        """Whether a group waits for room on the disk."""
        return self._waiting_group is not None

    def handle(self, received: Iterable[Received]) -> list[Received]:
        """Take a group of messages, store it, and return the replies."""
        group = Group(self._clock.now_ns())
        # Who ignores the credit must not fill the memory with periods that wait for the closer.
        self.reception.stalled = self.stalled or self.closer.is_far_behind
        if not self.stalled:
            for period, mantissa_bits in self.memory.to_fold(self.state.open_periods()):
                group.fold(period, mantissa_bits)
        for peer, frame in received:
            self._intake.take(group, peer, frame)
        return self._commit(group)

    # Storing a group.

    def _commit(self, group: Group) -> list[Received]:
        """Journal a group, apply it, and return the replies; where the disk is full, let it wait."""
        records = group.records()
        if records:
            try:
                self.journal.append(records, group.pins, group.apply)
            except JournalFull as error:
                log.error("not acknowledging: %s", error)
                self._waiting_group = group
                return []
            self._finish(group)
            self._journal_limit.keep(self.state)
        return self._replies(group)

    def _finish(self, group: Group) -> None:
        """Do what waits until a group is stored and its values are in their periods."""
        for session in group.taken.values():
            session.durable_seq = session.taken_seq
        for session in group.welcomes.values():
            if session.run not in self._begun_runs:
                self._begun_runs.add(session.run)
                self.closer.submit(RunBegan(session.run, group.now_ns))
        self.memory.grew(sum(len(frame) for _, frame in group.shown))
        for period, frame in group.shown if self._feed.wanted else ():
            self._feed.batch(*period.key, frame)
        for period in group.touched:
            say_oddities(self._sayings, period)
        for named in group.properties:
            self.closer.submit(named)
        for ended in group.ended:
            self.closer.submit(ended)
            self._feed.closed(*ended.period.key)

    def _replies(self, group: Group) -> list[Received]:
        return self._answers.to_group(group, self._credit(), self._clock.now_ns())

    def _credit(self) -> Credit:
        if self._has_to_wait():
            # Until all are told otherwise: who was answered with nothing may not speak first.
            self._credit_withdrawn = True
            return lambda session: 0
        return self.state.sessions.grant_bytes

    def _has_to_wait(self) -> bool:
        is_behind = self._punctuality.is_behind or self.closer.is_behind
        return self.stopping or self.stalled or is_behind

    # Time.

    def tick(self) -> list[Received]:
        """Let time pass: free what is stored, close what is due, judge who is silent; return the replies."""
        self.release_stored()
        now_ns = self._clock.now_ns()
        if self._roll.is_due(now_ns):
            self._roll.call(now_ns)
            self.keeper.look_round(now_ns)
        if self._waiting_group is not None:
            return self._try_again(self._waiting_group)
        return [*self._close_due(now_ns), *self._give_credit_back(now_ns)]

    def release_stored(self) -> None:
        """Let the journal give back the room of what is stored."""
        while self.closer.stored:
            pin = self.closer.stored.popleft()
            if isinstance(pin, PeriodKey):
                self.state.unstored.pop(pin, None)
            self.journal.release(pin)

    def _is_reached(self, session: Session) -> bool:
        # An ACK is what any connection may get at any time.
        ack = self._answers.ack(session, self._credit()(session), self._clock.now_ns())
        return session.peer is not None and self._reaches(session.peer, ack)

    def was_away(self, away_ns: int) -> None:
        """Take it that nobody listened for so long: a paused process, a disk that did not answer.

        Nobody's silence in it counts, and as after a start nothing closes before workers could speak.
        """
        self._roll.forgive(away_ns)
        self.reception.reconnect_wait.pause(self._clock.now_ns())

    def _try_again(self, group: Group) -> list[Received]:
        try:
            self.journal.append(group.records(), group.pins, group.apply)
        except JournalFull:
            return []
        log.warning("there is room on the disk again: going on")
        self._waiting_group = None
        self._finish(group)
        return self._replies(group)

    def _close_due(self, now_ns: int) -> list[Received]:
        """Close what ends by the clock, once every worker had the time to come back after a start."""
        if not self.reception.reconnect_wait.is_over(now_ns):
            self._punctuality.kept(now_ns)
            return []
        group, ended_bytes = Group(now_ns), 0
        for category, period, cause in self.keeper.due(now_ns):
            num_ended = len(group.ended)
            if num_ended >= _CLOSED_AT_ONCE or self.closer.has_enough(num_ended, ended_bytes):
                self._punctuality.missed(now_ns)
                break
            self.keeper.close(group, category, period, cause)
            ended_bytes += bytes_of(group.ended[-1])
        else:
            self._punctuality.kept(now_ns)
        return self._commit(group)

    def _give_credit_back(self, now_ns: int) -> list[Received]:
        if not self._credit_withdrawn or self._has_to_wait():
            return []
        self._credit_withdrawn = False
        credit = self._credit()
        ack, sessions = self._answers.ack, self.state.sessions
        return [(peer, ack(session, credit(session), now_ns)) for peer, session in sessions.connected()]

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
            for category, period, cause in keeper.ending(group.now_ns, close_all):
                keeper.close(group, category, period, cause)
            self._commit(group)
        ended = self._waiting_group.ended if self._waiting_group is not None else []
        waiting = [*(period for _, period in keeper.open_periods()), *(period for period, _ in ended)]
        return sum(period.accumulator.num_values for period in waiting)
