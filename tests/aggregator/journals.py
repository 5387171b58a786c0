"""What the tests of the journal share: making one, and reading a whole directory as recovery does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stats_aggregator.clock import Clock
from stats_aggregator.journal.journal import Durability, Journal
from stats_aggregator.journal.segment import Record, RecordKind
from stats_aggregator.journal.segment_reader import SegmentContents, read_header, read_segment, segment_paths

Plain = tuple[RecordKind, bytes]
TWO_SNAPSHOTS: list[Plain] = [(RecordKind.SNAPSHOT, b"snapshot")] * 2
"""What each segment of `begin` starts with."""


def begin(
    directory: Path,
    durability: Durability = Durability.PROCESS,
    *,
    snapshot: Callable[[], bytes] = lambda: b"snapshot",
    segment_bytes: int = 1 << 16,
) -> Journal:
    return Journal(directory, durability, snapshot=snapshot, clock=Clock(), segment_bytes=segment_bytes)


def group(*parts: bytes) -> Record:
    return Record(RecordKind.GROUP, parts)


def plain(contents: SegmentContents) -> list[Plain]:
    return [(stored.record.kind, bytes(stored.record.body[0])) for stored in contents.records]


def contents_of(directory: Path) -> list[SegmentContents]:
    paths = segment_paths(directory)
    return [read_segment(path, last=path == paths[-1]) for path in paths]


def groups_in(directory: Path) -> list[bytes]:
    """Return the bodies of all GROUP records; damage anywhere fails the test."""
    found = contents_of(directory)
    assert [contents.damage for contents in found if contents.damage] == []
    return [body for contents in found for kind, body in plain(contents) if kind is RecordKind.GROUP]


def written(directory: Path, appends: Sequence[Sequence[Record]]) -> tuple[Path, bytes]:
    """Write one segment and return its path and bytes, without what was preallocated."""
    journal = begin(directory, segment_bytes=8 << 20)
    for records in appends:
        journal.append(records)
    journal.close()
    (path,) = segment_paths(directory)
    return path, path.read_bytes()


def head_of(path: Path) -> int:
    """Return how large the segment was when it got its name."""
    header = read_header(path)
    assert header is not None
    return header.head_bytes
