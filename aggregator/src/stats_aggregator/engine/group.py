"""Group: one drained set of messages, from decision to reply.

Decisions are collected as journal records in an order that a replay can follow; the batches of one GROUP
record are applied together, live and in a replay alike, so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from stats_aggregator_client.wire import Batch, FromDaemon, Partial, Property

from .. import failpoints
from ..journal.decisions import Entry, Folded, Opened, SessionOpened, Skipped, pack, pack_group
from ..journal.segment import Record, RecordKind
from ..periods.periods import OpenPeriod, PeriodKey
from .sessions import Session
from .state import EndedPeriod

Contribution = tuple[Batch | Partial, str]


class _Part:
    """What one GROUP record holds."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.contributions: dict[PeriodKey, tuple[OpenPeriod, list[Contribution]]] = {}


class Group:
    """What was decided for one drained set of messages, and what is to be said when it is stored.

    `pins` are the periods and properties whose data stands in the records; `shown` the batches' frames, for
    who wants to see raw values; `acks` and `welcomes` the sessions to answer, by their connection;
    `taken` those whose seqs are in the records.
    """

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.pins: set[object] = set()
        self.ended: list[EndedPeriod] = []
        self.properties: list[tuple[str, Property]] = []
        self.shown: list[tuple[OpenPeriod, bytes]] = []
        self.replies: list[tuple[bytes, FromDaemon]] = []
        self.acks: dict[bytes, Session] = {}
        self.welcomes: dict[bytes, Session] = {}
        self.taken: dict[bytes, Session] = {}
        self.strangers: set[bytes] = set()
        self.expected_workers: dict[str, set[str]] = {}
        """By run, once a period of it has ended in the group."""
        self.touched: list[OpenPeriod] = []
        self._is_applied = False
        self._folds: list[tuple[OpenPeriod, int]] = []
        self._records: list[Record] = []
        self._parts: list[_Part] = []
        self._part = _Part()

    def add_passing(self, entry: Entry) -> None:
        """Take a message that has nothing for any period."""
        self._part.entries.append(entry)

    def add_values(self, entry: Entry, period: OpenPeriod, message: Batch | Partial, worker: str) -> None:
        """Take a batch or PARTIAL into its period."""
        part = self._part
        part.entries.append(entry)
        found = part.contributions.get(period.key)
        if found is None:
            found = part.contributions[period.key] = (period, [])
            self.pins.add(period.key)
        found[1].append((message, worker))
        self.shown.append((period, entry.frame))

    def add_control(self, entry: Entry, period: OpenPeriod | None) -> None:
        """Take a WRITE or REWIND, which the journal keeps as long as the open period."""
        self._part.entries.append(entry)
        if period is not None:
            self.pins.add(period.key)

    def add_property(self, run: str, message: Property, frame: bytes) -> None:
        """Take a property, which the journal keeps until the store has it."""
        self._part.entries.append(Entry(0, False, frame))
        self.properties.append((run, message))
        self.pins.add((message.session, message.seq))

    def open(self, period: OpenPeriod) -> None:
        """Note that a period began, or that something else ends it."""
        limits = period.accumulator.limits
        opened = Opened(*period.key, period.start_ns, period.window_ns, *limits)
        self._between(pack(RecordKind.OPEN, opened))
        self.pins.add(period.key)

    def fold(self, period: OpenPeriod, mantissa_bits: int) -> None:
        """Note, before any message of the group, that memory is short and a period keeps no values."""
        self._between(pack(RecordKind.FOLD, Folded(*period.key, mantissa_bits)))
        self._folds.append((period, mantissa_bits))
        self.pins.add(period.key)

    def close(self, ended: EndedPeriod) -> None:
        """Note that a period ended."""
        self._between(pack(RecordKind.CLOSE, ended.closed))
        self.ended.append(ended)
        self.pins.add(ended.period.key)

    def open_session(self, opened: SessionOpened) -> None:
        """Note a new session."""
        self._between(pack(RecordKind.SESSION, opened))

    def refuse(self, skipped: Skipped) -> None:
        """Note that a seq was refused for good."""
        self._between(pack(RecordKind.TOMBSTONE, skipped))

    def skip_gap(self, skipped: Skipped) -> None:
        """Note that seqs are gone for good."""
        self._between(pack(RecordKind.GAP, skipped))

    def _between(self, record: Record) -> None:
        # A replay reads it where it was decided: after the frames so far, before those to come.
        self._cut()
        self._records.append(record)

    def _cut(self) -> None:
        if self._part.entries:
            self._records.append(pack_group(self._part.entries))
            self._parts.append(self._part)
            self._part = _Part()

    def records(self) -> list[Record]:
        """Return all records, in the order of the decisions; nothing is added afterwards."""
        self._cut()
        return self._records

    def workers_in(self, period: OpenPeriod) -> set[str]:
        """Return the workers whose values the group brings into a period."""
        return {
            worker
            for part in (*self._parts, self._part)
            for message, sender in part.contributions.get(period.key, (period, []))[1]
            for worker in _workers_of(message, sender)
        }

    def apply(self) -> None:
        """Add the values to their periods, those of one GROUP record together; `touched` are the periods.

        Once: a group that waits for room on the disk is appended again, and has them already.
        """
        if self._is_applied:
            return
        self._is_applied = True
        failpoints.reach("engine.apply.before")
        for period, mantissa_bits in self._folds:
            period.accumulator.fold(mantissa_bits)
        for part in self._parts:
            for period, messages in part.contributions.values():
                period.accumulator.add(messages)
                self.touched.append(period)
        failpoints.reach("engine.apply.after")


def _workers_of(message: Batch | Partial, sender: str) -> Sequence[str]:
    if isinstance(message, Partial):
        return message.workers or (sender,)
    return (sender,) if message.counts else ()
