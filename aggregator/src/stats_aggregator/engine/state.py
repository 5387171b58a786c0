"""State: what the engine knows, and what a snapshot tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from ..journal.decisions import Closed
from ..periods.axis import Axis, WriteRound
from ..periods.every import Every, Mode
from ..periods.periods import Category, OpenPeriod, PeriodKey
from ..pooling.accumulators import Accumulator, Limits
from ..pooling.series import OVERFLOW, SeriesCache
from ..store.ordinals import LastPeriod
from .sessions import Liveness, Refused, Session, Sessions

_IDLE_NS = 3600 * 1_000_000_000
_MAX_SENDERS = 100_000
_MAX_REFUSALS = 20_000
_MAX_OVERFLOWING_RUNS = 1000
"""So many categories there are past the limit, one in each run that has more than there is room for."""


class Cut(NamedTuple):
    """How categories are cut into periods: the first glob that fits a category's name counts."""

    overrides: tuple[tuple[str, Every], ...]
    default: Every

    def of(self, category: str) -> Every:
        """Return the category's `every`."""
        for glob, every in self.overrides:
            if fnmatchcase(category, glob):
                return every
        return self.default


class EndedPeriod(NamedTuple):
    """A period that takes no more values, on its way to the closer."""

    period: OpenPeriod
    closed: Closed


class Told(NamedTuple):
    """What a snapshot tells of a period that was not stored then; `closed` is its CLOSE, or None."""

    key: PeriodKey
    start_ns: int
    window_ns: int
    taken: int
    late: int
    lost: int
    uncertain: int
    closed: Closed | None


class Claim(NamedTuple):
    """What a snapshot tells of a category: all its ordinals before the next were stored then, but `told`."""

    run: str
    category: str
    next_ordinal: int
    told: tuple[Told, ...]


class State:
    """Sessions and categories; `replay` and the engine change it by the same calls."""

    def __init__(
        self,
        cut: Cut,
        ingress_bytes: int,
        limits: Limits,
        max_categories: int,
        last_periods: Mapping[tuple[str, str], LastPeriod] = MappingProxyType({}),
    ) -> None:
        """`last_periods` are the newest that the store has as closed, by run and category."""
        self.cut = cut
        self._last_periods = dict(last_periods)
        self.sessions = Sessions(ingress_bytes)
        self.categories: dict[tuple[str, str], Category] = {}
        self.series_cache = SeriesCache()
        self.unstored: dict[PeriodKey, EndedPeriod] = {}
        """Periods that have ended and are still on their way into the store, by key."""
        self._limits = limits
        self._max_categories = max_categories

    def has_room(self, run: str, name: str) -> bool:
        """Return whether the category is there, or can be made; else OVERFLOW stands in for it."""
        return (run, name) in self.categories or len(self.categories) < self._max_categories

    def forget_idle(self, now_ns: int) -> None:
        """Where categories are many, forget those that are long unheard and have nothing open, oldest first.

        What they must not forget, their ordinal and where they stand, is kept as the store would tell it.
        """
        excess = len(self.categories) - self._max_categories * 9 // 10
        if excess <= 0:
            return
        unstored = {key[:2] for key in self.unstored if isinstance(key, PeriodKey)}
        idle = []
        for name, category in self.categories.items():
            # After a start nobody knows when it was heard last.
            category.heard_ns = category.heard_ns or now_ns
            is_idle = now_ns - category.heard_ns > _IDLE_NS and not category.periods
            if is_idle and name not in unstored and category.next_ordinal > 1:
                idle.append((category.heard_ns, name))
        for _, name in sorted(idle)[:excess]:
            gone = self.categories.pop(name)
            step = gone.axis.last if gone.axis.last >= 0 else gone.next_ordinal - 1
            self._last_periods[name] = LastPeriod(gone.next_ordinal - 1, step, gone.closed_through_ns)

    def may_take(self, run: str, name: str) -> bool:
        """Return whether the category, or the one that stands in for it, is there or can be made."""
        least = self.has_room(run, name) or (run, OVERFLOW) in self.categories
        return least or len(self.categories) < self._max_categories + _MAX_OVERFLOWING_RUNS

    def category(self, run: str, name: str) -> Category:
        """Return the category, made at its first word."""
        found = self.categories.get((run, name))
        if found is None:
            every = self.cut.of(name)
            if name == OVERFLOW and every.mode is not Mode.TIME:
                every = Every(Mode.TIME)  # nobody writes it, and the steps in it are of many
            found = self.categories[run, name] = Category(run, name, every)
            last = self._last_periods.get((run, name))
            if last is not None:
                found.go_on_after(last.ordinal, last.step, last.end)
        return found

    def open_periods(self) -> Iterator[OpenPeriod]:
        """Yield every open period."""
        return (period for category in self.categories.values() for period in category.periods.values())

    def accumulator(self, limits: Limits | None = None) -> Accumulator:
        """Return an empty accumulator, of the limits of today unless others are given."""
        return Accumulator(limits or self._limits, self.series_cache)

    def snapshot(self) -> bytes:
        """Return what a replay needs once earlier segments are gone; values stand in segments alone.

        Who has sent to a category is told as far as there is room: the others are known again when they send.
        """
        left, refusals_left = _MAX_SENDERS, _MAX_REFUSALS
        for category in self.categories.values():
            category.round.forget_all_but(self.sessions)
        unstored: dict[tuple[str, str], list[tuple[OpenPeriod, Closed | None]]] = {}
        for period, closed in self.unstored.values():
            unstored.setdefault(period.key[:2], []).append((period, closed))
        sessions = [
            (
                s.id, s.worker, s.run, s.process, s.taken_seq, s.heard_ns, s.said_bye,
                list(s.refused) if (refusals_left := refusals_left - len(s.refused)) >= 0 else [],
            )
            for s in self.sessions
        ]  # fmt: skip
        categories = [
            (
                c.run, c.name, c.next_ordinal, c.closed_through_ns, c.written_by_producer,
                c.axis.absolute, c.axis.counted, c.axis.last, c.round.straggler, sorted(c.round.writers),
                sorted(c.round.written), sorted(c.round.owed),
                sorted(c.senders) if (left := left - len(c.senders)) >= 0 else [],
                [
                    (p.key.ordinal, p.start_ns, p.window_ns, p.taken, p.late, p.lost, p.uncertain, closed)
                    for p, closed in [
                        *((period, None) for period in c.periods.values()),
                        *unstored.get((c.run, c.name), ()),
                    ]
                ],
                [session for session in sorted(c.may_write) if session in self.sessions],
            )
            for c in self.categories.values()
        ]  # fmt: skip
        packed: bytes = msgpack.packb((sessions, categories))
        return packed

    def restore(self, snapshot: bytes) -> list[Claim]:
        """Take in a snapshot; where records before it were read too, it says the same.

        Returns what it says of periods, for comparison with what the journal tells of them.
        """
        claims = []
        sessions, categories = msgpack.unpackb(snapshot, use_list=False)
        for session_id, worker, run, process, seq, heard_ns, said_bye, refused in sessions:
            session = self._session(session_id, worker, run, process)
            session.worker, session.run, session.process = worker, run, process
            session.said_bye = said_bye
            session.refused.clear()
            session.refused.extend(Refused(*told) for told in refused)
            # What was heard later may be less: it was forgotten, and began anew in a segment that is gone.
            is_later = heard_ns > session.heard_ns
            session.taken_seq = seq if is_later else max(session.taken_seq, seq)
            session.durable_seq = session.taken_seq
            session.heard_ns = max(session.heard_ns, heard_ns)
        # One that was forgotten may stand in earlier records still, and would be lost when they go.
        self.sessions.forget_all_but({session_id for session_id, *_ in sessions})
        for run, name, ordinal, closed_through_ns, by_producer, *fields in categories:
            category = self.category(run, name)
            category.next_ordinal = max(category.next_ordinal, ordinal)
            category.closed_through_ns = max(category.closed_through_ns, closed_through_ns)
            category.written_by_producer = category.written_by_producer or by_producer
            absolute, counted, last, straggler, writers, written, owed, senders, periods, *more = fields
            category.axis = Axis(absolute, counted, last)
            category.round = WriteRound(set(writers), set(written), set(owed), straggler)
            category.senders.update(senders)
            category.may_write.update(*more)  # a snapshot of before has none
            told = tuple(_told(PeriodKey(run, name, period[0]), period[1:]) for period in periods)
            claims.append(Claim(run, name, ordinal, told))
        return claims

    def _session(self, session_id: bytes, worker: str, run: str, process: bytes) -> Session:
        found = self.sessions.get(session_id)
        if found is None:
            found = Session(session_id, worker, run, process, liveness=Liveness.LOST)
            self.sessions.add(found)
        return found


def _told(key: PeriodKey, fields: Sequence[Any]) -> Told:
    start_ns, window_ns, taken, late, lost, uncertain, closed = fields
    ended = Closed(*closed) if closed else None
    return Told(key, start_ns, window_ns, taken, late, lost, uncertain, ended)
