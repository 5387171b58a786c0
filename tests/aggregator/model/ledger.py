"""The ledger: what a daemon's journal was told, and what it still says after a crash.

Both must agree: a frame is in the same period for ever, and a decision that was synced is never another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from stats_aggregator.journal.decisions import (
    Closed,
    Opened,
    SessionOpened,
    Skipped,
    unpack,
    unpack_group,
)
from stats_aggregator.journal.journal import Journal
from stats_aggregator.journal.segment import Record, RecordKind
from stats_aggregator.journal.segment_reader import read_segment, segment_paths
from stats_aggregator.periods.periods import PeriodKey
from stats_aggregator_client.wire import Batch, Bye, Message, Partial, Property, decode

SessionSeq = tuple[bytes, int]


class Placed(NamedTuple):
    """A frame, and where it belongs: `key` is None for what belongs to no period."""

    key: PeriodKey | None
    category: tuple[str, str]
    late: bool
    worker: str
    message: Any
    frame: bytes


@dataclass(slots=True)
class Ledger:
    """All that was journaled in one data directory; `story` is it in order, by run and category."""

    fired: Counter[str]
    sessions: dict[bytes, SessionOpened] = field(default_factory=dict)
    placed: dict[SessionSeq, Placed] = field(default_factory=dict)
    refused: dict[SessionSeq, str] = field(default_factory=dict)
    gaps: dict[SessionSeq, str] = field(default_factory=dict)
    opened: dict[PeriodKey, list[Opened]] = field(default_factory=dict)
    closed: dict[PeriodKey, Closed] = field(default_factory=dict)
    story: dict[tuple[str, str], list[Placed | Opened | Closed]] = field(default_factory=dict)

    def listen(self, journal: Any) -> None:
        """Hear of all that is appended from now on."""
        assert isinstance(journal, Journal)
        append = journal.append

        def heard(records: Sequence[Record], *others: Any) -> None:
            append(records, *others)
            for record in records:
                self._take(record.kind, b"".join(map(bytes, record.body)))

        journal.append = heard  # type: ignore[method-assign]

    def read(self, directory: Path) -> None:
        """Read what stands in a journal; fail where it says anything else than what was heard of it."""
        paths = segment_paths(directory)
        for path in paths:
            contents = read_segment(path, last=path == paths[-1])
            for stored in contents.records:
                self._take(stored.record.kind, bytes(stored.record.body[0]))

    def is_taken(self, session: bytes, seq: int) -> bool:
        """Return whether a seq is consumed, for good or for bad."""
        return (session, seq) in self.placed or (session, seq) in self.refused

    def _take(self, kind: RecordKind, body: bytes) -> None:
        if kind is RecordKind.GROUP:
            for entry in unpack_group(body):
                self._place(entry.ordinal, entry.late, entry.frame)
        elif kind is RecordKind.SESSION:
            opened = unpack(SessionOpened, body)
            self.sessions[opened.session] = opened
        elif kind is RecordKind.TOMBSTONE:
            self._skip(self.refused, unpack(Skipped, body))
        elif kind is RecordKind.GAP:
            self._skip(self.gaps, unpack(Skipped, body))
        elif kind is RecordKind.OPEN:
            self._open(unpack(Opened, body))
        elif kind is RecordKind.CLOSE:
            self._close(unpack(Closed, body))
        elif kind is not RecordKind.SNAPSHOT:
            self.fired[kind.name.lower()] += 1

    def _skip(self, skipped: dict[SessionSeq, str], body: Skipped) -> None:
        name = body.session, body.seq
        assert name not in self.placed, "a seq is refused that was taken"
        skipped[name] = body.text

    def _place(self, ordinal: int, late: bool, frame: bytes) -> None:
        message: Message = decode(frame)
        if isinstance(message, Bye):
            return
        name = message.session, message.seq  # type: ignore[union-attr]
        assert name not in self.refused, "a seq is taken that was refused"
        opened = self.sessions[name[0]]
        category = opened.run, message.category  # type: ignore[union-attr]
        key = PeriodKey(*category, ordinal) if ordinal else None
        found = Placed(key, category, late, opened.worker, message, frame)
        known = self.placed.get(name)
        if known is not None:
            assert known == found, f"{known} is journaled a second time as {found}"
            return
        if key is not None:
            assert isinstance(message, Batch | Partial)
            assert key in self.opened, f"{key} has values before it was opened"
            assert key not in self.closed, f"{key} has values after it was closed"
        self.placed[name] = found
        self.fired["partial"] += isinstance(message, Partial)
        self.fired["late"] += late
        self.fired["lost"] += bool(getattr(message, "lost", 0))
        self.fired["uncertain"] += bool(getattr(message, "uncertain", 0))
        if not isinstance(message, Property):
            self.story.setdefault(category, []).append(found)

    def _open(self, body: Opened) -> None:
        key = PeriodKey(*body[:3])
        known = self.opened.setdefault(key, [])
        if body in known:
            return
        category = key[:2]
        if not known:
            before = [other.ordinal for other in self.opened if other[:2] == category and other != key]
            assert key.ordinal > max(before, default=0), f"{key} is opened, and {max(before)} was before"
        assert key not in self.closed
        known.append(body)
        self.story.setdefault(category, []).append(body)

    def _close(self, body: Closed) -> None:
        key = PeriodKey(*body[:3])
        if key in self.closed:
            assert self.closed[key] == body, f"{self.closed[key]} is closed again as {body}"
            return
        assert key in self.opened
        self.closed[key] = body
        self.fired[f"closed by {body.cause}"] += 1
        self.story.setdefault(key[:2], []).append(body)

    def in_period(self, key: PeriodKey) -> list[Placed]:
        """Return the frames of a period, in the order of their arrival."""
        return [each for each in self.story[key[:2]] if isinstance(each, Placed) and each.key == key]

    def window_of(self, key: PeriodKey) -> tuple[int, int] | None:
        """Return the first and the last but one nanosecond of a period's window, None where it has none."""
        last = self.opened[key][-1]
        return (last.start_ns, last.start_ns + last.window_ns) if last.window_ns else None
