"""Replay: how the journal's records rebuild a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from stats_aggregator_client.wire import Batch, Bye, Partial, Property, Rewind, WireError, Write, decode

from ..journal.decisions import (
    Checkpointed,
    Closed,
    Entry,
    Folded,
    Opened,
    SessionOpened,
    Skipped,
    unpack,
    unpack_group,
)
from ..journal.segment import Record, RecordKind
from ..periods.periods import Category, OpenPeriod, PeriodKey
from ..pooling.accumulators import Limits
from ..pooling.contents import num_values
from ..pooling.series import OVERFLOW
from .checkpoints import CheckpointReader
from .sessions import LOST_AFTER_NS, Liveness, Refused, Session
from .state import Claim, EndedPeriod, State, Told

_VALUES = (Batch, Partial)
_JOURNALED = (*_VALUES, Property, Write, Rewind, Bye)


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
        self.strays = 0
        """Messages of sessions that no record tells of any more."""
        self.jumped: Counter[str] = Counter()
        """Messages that are missing between others of their session, by worker."""
        self.last_ns = 0
        self.restored: list[PeriodKey] = []
        """Periods that a checkpoint told whole since this was last emptied: segments before tell nothing."""
        self._spoke: dict[bytes, Session] = {}
        self._forgotten: dict[bytes, tuple[int, int]] = {}
        """How far each session had come, and when it was heard, by the last snapshot, which may forget it.

        So a segment that was put back from a backup is not counted beside its own successor.
        """
        self._checkpoints = CheckpointReader(state.series_cache)
        self._missing: dict[PeriodKey, int] = {}
        self.gone: dict[PeriodKey, int] = {}
        """How many values of which periods the journal has lost; they count as lost there."""
        self.claims: list[Claim] = []
        """What the newest snapshot says of every category."""

    def apply(self, record: Record) -> Iterable[object]:
        """Apply one record; return the pins of its segment that it adds."""
        self.records += 1
        if record.kind is RecordKind.GROUP:
            return self._group(unpack_group(memoryview(record.body[0])))
        body = bytes(record.body[0])
        if record.kind is RecordKind.SNAPSHOT:
            sessions = self._state.sessions
            self._forgotten.update((each.id, (each.taken_seq, each.heard_ns)) for each in sessions)
            self.claims = self._state.restore(body)
            for told in [told for claim in self.claims for told in claim.told]:
                self._compare(told)
        elif record.kind is RecordKind.SESSION:
            self._session(unpack(SessionOpened, body))
        elif record.kind in (RecordKind.TOMBSTONE, RecordKind.GAP):
            self._skip(unpack(Skipped, body), record.kind is RecordKind.TOMBSTONE)
        elif record.kind is RecordKind.OPEN:
            return self._open(unpack(Opened, body))
        elif record.kind is RecordKind.CLOSE:
            return self._close(unpack(Closed, body))
        elif record.kind is RecordKind.FOLD:
            return self._fold(unpack(Folded, body))
        elif record.kind is RecordKind.CHECKPOINT:
            return self._checkpoint(unpack(Checkpointed, body))
        return ()

    def _session(self, body: SessionOpened) -> None:
        session = self._state.sessions.get(body.session)
        if session is None:
            session = Session(body.session, body.worker, body.run, body.process, liveness=Liveness.LOST)
            session.taken_seq, session.heard_ns = self._forgotten.get(body.session, (0, 0))
        if body.heard_ns > session.heard_ns:
            # Only of who is unknown there is such a record: it was forgotten, and began anew.
            session.taken_seq, session.said_bye = 0, False
            session.refused.clear()
        session.durable_seq = session.taken_seq
        # One that was forgotten and said HELLO again may have another name since.
        session.worker, session.run, session.process = body.worker, body.run, body.process
        session.heard_ns = max(session.heard_ns, body.heard_ns)
        self.last_ns = max(self.last_ns, body.heard_ns)
        self._state.sessions.add(session)

    def _skip(self, body: Skipped, is_refused: bool) -> None:
        session = self._state.sessions.get(body.session)
        if session is not None and body.seq > session.taken_seq:
            if is_refused:
                session.refused.append(Refused(*body[1:]))
            session.taken_seq = session.durable_seq = max(session.taken_seq, body.seq)

    def _open(self, body: Opened) -> Iterable[object]:
        category = self._state.category(body.run, body.category)
        category.next_ordinal = max(category.next_ordinal, body.ordinal + 1)
        # A window may begin, and end, up to its own length ahead of the moment of the decision.
        self.last_ns = max(self.last_ns, body.start_ns - body.window_ns)
        key = PeriodKey(body.run, body.category, body.ordinal)
        if self._is_closed(key):
            return ()
        limits = Limits(body.retain_values, body.max_series)
        category.open(body.ordinal, body.start_ns, body.window_ns, self._state.accumulator(limits))
        return (key,)

    def _fold(self, body: Folded) -> Iterable[object]:
        period = self._state.category(body.run, body.category).periods.get(body.ordinal)
        if period is None:
            return ()
        period.accumulator.fold(body.mantissa_bits)
        return (period.key,)

    def _checkpoint(self, body: Checkpointed) -> Iterable[object]:
        key = PeriodKey(body.run, body.category, body.ordinal)
        restored = self._checkpoints.read(body)
        if self._is_closed(key):
            return ()
        category = self._state.category(body.run, body.category)
        if restored is None:
            # Unless the next piece completes it, what earlier segments do not tell any more is gone.
            period = category.periods.get(body.ordinal)
            have = period.accumulator.num_values if period is not None else 0
            self._missing[key] = max(body.num_values - have, 0)
        else:
            self._missing.pop(key, None)
            category.put(*restored)
            self.restored.append(key)
        return (key,)

    def _compare(self, told: Told) -> None:
        """Note what a snapshot tells of a period and the records before it do not."""
        key = told.key
        if self._is_closed(key):
            return
        category = self._state.category(key.run, key.category)
        ended = self._state.unstored.get(key)
        period = ended.period if ended is not None else category.periods.get(key.ordinal)
        if period is None and told.closed is not None:
            period = OpenPeriod(key, told.start_ns, told.window_ns, self._state.accumulator())
            self._end(EndedPeriod(period, told.closed))
        elif period is None:
            accumulator = self._state.accumulator()
            period = category.open(key.ordinal, told.start_ns, told.window_ns, accumulator)
        period.late = max(period.late, told.late)
        period.lost = max(period.lost, told.lost)
        period.uncertain = max(period.uncertain, told.uncertain)
        if told.taken > period.taken:
            self._missing[key] = told.taken - period.taken
        else:
            # What an earlier snapshot missed was counted, and accepted, at an earlier start.
            self._missing.pop(key, None)
            self.gone.pop(key, None)

    def _end(self, ended: EndedPeriod) -> None:
        self._state.unstored[ended.period.key] = ended
        self.ended.append(ended)

    def count_missing(self) -> None:
        """Count as lost, in their periods, the values that stood in parts of the journal that are gone."""
        for key in list(self._missing):
            self._count_missing(key)

    def _count_missing(self, key: PeriodKey) -> None:
        missing = self._missing.pop(key, 0)
        if not missing:
            return
        self.gone[key] = missing
        category = self._state.category(key.run, key.category)
        ended = self._state.unstored.get(key)
        period = ended.period if ended is not None else category.periods.get(key.ordinal)
        if period is None:
            window_ns = category.window_ns if category.by_time else 0
            start_ns = self.last_ns - self.last_ns % (window_ns or 1)
            period = category.open(key.ordinal, start_ns, window_ns, self._state.accumulator())
        period.lost += missing

    def _group(self, entries: list[Entry]) -> Iterable[object]:
        pins: set[object] = set()
        joined: dict[PeriodKey, tuple[OpenPeriod, list[tuple[Batch | Partial, str]]]] = {}
        for entry in entries:
            try:
                message = decode(entry.frame)
            except WireError:
                continue  # it was valid when it was written: a frame of a version to come
            if not isinstance(message, _JOURNALED):
                continue
            session = self._heard(message)
            if session is None:
                continue
            if isinstance(message, _VALUES):  # the most frequent by far
                period = self._values(entry, message, session)
                if period is not None:
                    joined.setdefault(period.key, (period, []))[1].append((message, session.worker))
            elif not isinstance(message, Bye):
                pins.update(self._control(entry, message, session))
        for period, messages in joined.values():
            period.accumulator.add(messages)
        return pins.union(joined)

    def _heard(self, message: Batch | Partial | Property | Write | Rewind | Bye) -> Session | None:
        """Return the session of a message that counts, which it is not where it came before."""
        session = self._state.sessions.get(message.session)
        if session is None:
            self.strays += 1
            return None
        session.said_bye = isinstance(message, Bye)
        if isinstance(message, Bye):
            return session
        if message.seq <= session.taken_seq:
            self.duplicates += 1
            return None
        if message.seq > session.taken_seq + 1:
            self.jumped[session.worker] += message.seq - session.taken_seq - 1
        session.taken_seq = session.durable_seq = message.seq
        self._spoke[session.id] = session
        return session

    def _values(self, entry: Entry, message: Batch | Partial, session: Session) -> OpenPeriod | None:
        """Take all of a message but its values, and return the period that is to have these."""
        category = self._state.category(session.run, OVERFLOW if entry.overflows else message.category)
        if entry.ordinal == 0:
            category.pass_by(message, session.worker)
            return None
        period = self._period_of(category, entry, message)
        category.admit(message, num_values(message), session.worker, period, entry.late)
        return period

    def _control(
        self, entry: Entry, message: Property | Write | Rewind, session: Session
    ) -> Iterable[object]:
        if isinstance(message, Property):
            self.properties.append((session.run, message))
            return ((message.session, message.seq),)
        category = self._state.category(session.run, OVERFLOW if entry.overflows else message.category)
        if entry.overflows:
            return ()
        if isinstance(message, Rewind):
            category.rewind(message.step)
            return ()
        category.take_write(message, entry.late, 0)
        return [period.key for period in category.periods.values()]

    def _period_of(self, category: Category, entry: Entry, batch: Batch | Partial) -> OpenPeriod | None:
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
        self._count_missing(PeriodKey(body.run, body.category, body.ordinal))
        period = category.finish(body)
        self.last_ns = max(self.last_ns, body.end_ns - body.window_ns)
        if period is None:
            return ()
        self._end(EndedPeriod(period, body))
        return (period.key,)
