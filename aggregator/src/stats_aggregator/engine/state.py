"""State: what the engine knows, and how the journal's records rebuild it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

import msgpack

from stats_aggregator_client.wire import Batch, Property, Rewind, WireError, Write, decode

from ..journal.decisions import Closed, Entry, Opened, SessionOpened, Skipped, unpack, unpack_group
from ..journal.segment import Record, RecordKind
from ..periods.axis import Axis, WriteRound
from ..periods.every import Every
from ..periods.periods import Category, OpenPeriod, PeriodKey
from ..pooling.accumulators import Accumulator
from ..pooling.series import SeriesCache
from ..store.ordinals import LastPeriod
from .sessions import LOST_AFTER_NS, Liveness, Session, Sessions

_MAX_SENDERS = 100_000


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


class State:
    """Sessions and categories; `replay` and the engine change it by the same calls."""

    def __init__(
        self,
        cut: Cut,
        ingress_bytes: int,
        retain_values: int,
        last_periods: Mapping[tuple[str, str], LastPeriod] = MappingProxyType({}),
    ) -> None:
        """`last_periods` are the newest that the store has as closed, by run and category."""
        self.cut = cut
        self._last_periods = last_periods
        self.sessions = Sessions(ingress_bytes)
        self.categories: dict[tuple[str, str], Category] = {}
        self.series_cache = SeriesCache()
        self._retain_values = retain_values

    def category(self, run: str, name: str) -> Category:
        """Return the category, made at its first word."""
        found = self.categories.get((run, name))
        if found is None:
            found = self.categories[run, name] = Category(run, name, self.cut.of(name))
            last = self._last_periods.get((run, name))
            if last is not None:
                found.go_on_after(last.ordinal, last.step, last.end)
        return found

    def accumulator(self) -> Accumulator:
        """Return an empty accumulator."""
        return Accumulator(self._retain_values, self.series_cache)

    def snapshot(self) -> bytes:
        """Return what a replay needs once earlier segments are gone; values stand in segments alone.

        Who has sent to a category is told as far as there is room: the others are known again when they send.
        """
        left = _MAX_SENDERS
        sessions = [(s.id, s.worker, s.run, s.process, s.taken_seq, s.heard_ns) for s in self.sessions]
        categories = [
            (
                c.run, c.name, c.next_ordinal, c.closed_through_ns, c.written_by_producer,
                c.axis.absolute, c.axis.counted, c.axis.last, c.round.straggler, sorted(c.round.writers),
                sorted(c.round.written), sorted(c.round.owed),
                sorted(c.senders) if (left := left - len(c.senders)) >= 0 else [],
            )
            for c in self.categories.values()
        ]  # fmt: skip
        packed: bytes = msgpack.packb((sessions, categories))
        return packed

    def restore(self, snapshot: bytes) -> None:
        """Take in a snapshot; where records before it were read too, it says the same."""
        sessions, categories = msgpack.unpackb(snapshot, use_list=False)
        for session_id, worker, run, process, seq, heard_ns in sessions:
            session = self._session(session_id, worker, run, process)
            session.durable_seq = session.taken_seq = max(session.taken_seq, seq)
            session.heard_ns = max(session.heard_ns, heard_ns)
        for run, name, ordinal, closed_through_ns, by_producer, *fields in categories:
            category = self.category(run, name)
            category.next_ordinal = max(category.next_ordinal, ordinal)
            category.closed_through_ns = max(category.closed_through_ns, closed_through_ns)
            category.written_by_producer = category.written_by_producer or by_producer
            absolute, counted, last, straggler, writers, written, owed, senders = fields
            category.axis = Axis(absolute, counted, last)
            category.round = WriteRound(set(writers), set(written), set(owed), straggler)
            category.senders.update(senders)

    def _session(self, session_id: bytes, worker: str, run: str, process: bytes) -> Session:
        found = self.sessions.get(session_id)
        if found is None:
            found = Session(session_id, worker, run, process, liveness=Liveness.LOST)
            self.sessions.add(found)
        return found


class Replay:
    """Rebuilds a state from the journal's records; it decides nothing anew.

    `is_closed` says whether the store has a period. What comes out beside the state: `ended` (CLOSE stands
    in the journal, the store lacks it), `properties` and `pins` (what each segment holds that is not stored).
    """

    def __init__(self, state: State, is_closed: Callable[[PeriodKey], bool]) -> None:
        self._state = state
        self._is_closed = is_closed
        self.ended: list[EndedPeriod] = []
        self.properties: list[tuple[str, Property]] = []
        self.records = 0
        self.duplicates = 0
        self.last_ns = 0
        self._spoke: dict[bytes, Session] = {}

    def apply(self, record: Record) -> Iterable[object]:
        """Apply one record; return the pins of its segment that it adds."""
        self.records += 1
        body = bytes(record.body[0])
        if record.kind is RecordKind.GROUP:
            return self._group(unpack_group(body))
        if record.kind is RecordKind.SNAPSHOT:
            self._state.restore(body)
        elif record.kind is RecordKind.SESSION:
            self._session(unpack(SessionOpened, body))
        elif record.kind in (RecordKind.TOMBSTONE, RecordKind.GAP):
            self._skip(unpack(Skipped, body))
        elif record.kind is RecordKind.OPEN:
            return self._open(unpack(Opened, body))
        elif record.kind is RecordKind.CLOSE:
            return self._close(unpack(Closed, body))
        return ()

    def _session(self, body: SessionOpened) -> None:
        session = self._state.sessions.get(body.session)
        if session is None:
            session = Session(body.session, body.worker, body.run, body.process, liveness=Liveness.LOST)
        session.heard_ns = max(session.heard_ns, body.heard_ns)
        self.last_ns = max(self.last_ns, body.heard_ns)
        self._state.sessions.add(session)

    def _skip(self, body: Skipped) -> None:
        session = self._state.sessions.get(body.session)
        if session is not None:
            session.taken_seq = session.durable_seq = max(session.taken_seq, body.seq)

    def _open(self, body: Opened) -> Iterable[object]:
        category = self._state.category(body.run, body.category)
        category.next_ordinal = max(category.next_ordinal, body.ordinal + 1)
        # A window may begin, and end, up to its own length ahead of the moment of the decision.
        self.last_ns = max(self.last_ns, body.start_ns - body.window_ns)
        key = PeriodKey(body.run, body.category, body.ordinal)
        if self._is_closed(key):
            return ()
        category.open(body.ordinal, body.start_ns, body.window_ns, self._state.accumulator())
        return (key,)

    def _group(self, entries: list[Entry]) -> Iterable[object]:
        pins: set[object] = set()
        joined: dict[PeriodKey, tuple[OpenPeriod, list[tuple[Batch, str]]]] = {}
        for entry in entries:
            try:
                message = decode(entry.frame)
            except WireError:
                continue  # it was valid when it was written: a frame of a version to come
            if not isinstance(message, Batch | Property | Write | Rewind):
                continue
            session = self._state.sessions.get(message.session)
            if session is None or message.seq <= session.taken_seq:
                self.duplicates += 1
                continue
            session.taken_seq = session.durable_seq = message.seq
            self._spoke[session.id] = session
            if isinstance(message, Property):
                self.properties.append((session.run, message))
                pins.add((message.session, message.seq))
                continue
            category = self._state.category(session.run, message.category)
            if isinstance(message, Write):
                category.take_write(message, entry.late, 0)
                pins.update(period.key for period in category.periods.values())
            elif isinstance(message, Rewind):
                category.rewind(message.step)
            elif entry.ordinal == 0:
                category.pass_by(message, session.worker)
            else:
                period = self._period_of(category, entry, message)
                category.admit(message, session.worker, period, entry.late)
                if period is not None:
                    pins.add(period.key)
                    joined.setdefault(period.key, (period, []))[1].append((message, session.worker))
        for period, batches in joined.values():
            period.accumulator.add(batches)
        return pins

    def _period_of(self, category: Category, entry: Entry, batch: Batch) -> OpenPeriod | None:
        """Return the period of an entry, or None where the store has it as closed."""
        period = category.periods.get(entry.ordinal)
        if period is not None or self._is_closed(PeriodKey(category.run, category.name, entry.ordinal)):
            return period
        # Its OPEN was damaged: that must not cost the values.
        window_ns = category.window_ns if category.by_time else 0
        start_ns = self.last_ns if entry.late else batch.t_last
        start_ns -= start_ns % (window_ns or 1)
        return category.open(entry.ordinal, start_ns, window_ns, self._state.accumulator())

    def freshen(self, now_ns: int) -> None:
        """Let the sessions that spoke in the records count as heard a minute ago.

        The records do not say when they spoke, and a row that is forgotten too early would let what is in
        the journal be counted again.
        """
        for session in self._spoke.values():
            session.heard_ns = max(session.heard_ns, now_ns - LOST_AFTER_NS)

    def _close(self, body: Closed) -> Iterable[object]:
        category = self._state.category(body.run, body.category)
        period = category.finish(body)
        self.last_ns = max(self.last_ns, body.end_ns - body.window_ns)
        if period is None:
            return ()
        self.ended.append(EndedPeriod(period, body))
        return (period.key,)
