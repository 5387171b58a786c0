"""Reading segments for recovery: every record that is whole, and what is not.

A damaged record costs itself; reading goes on at the next whole one. The last append of the last segment may
never have been synced, and a disk writes in any order, so that one counts whole or not at all: whatever is
left out there was not acknowledged, or its sender's next HELLO shows the gap. A segment's head was whole when
the file got its name: what is missing there is always damage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import JournalFailed, MisnamedSegment, UnknownJournalVersion, journal_error
from .segment import (
    HEADER_BYTES,
    VERSION,
    SegmentHeader,
    StoredRecord,
    decode_header,
    next_record,
    segment_name,
    segment_number,
)
from .segment_writer import sync_directory

TORN, DAMAGED, UNREADABLE = "torn tail", "damaged record", "unreadable header"
"""The reasons of a Damage."""

_ZEROS = bytes(1 << 16)  # Compared at once: what is preallocated may be all of a segment.


class Damage(NamedTuple):
    """Bytes of a segment that are no record: `length` bytes from `offset` on, and why."""

    offset: int
    length: int
    reason: str


class SegmentContents(NamedTuple):
    """What stands in a segment. Where `header` is None it could not be read, and all is damage.

    `missing_bytes` are how many the file lacks of its head.
    """

    path: Path
    header: SegmentHeader | None
    records: Sequence[StoredRecord]
    damage: Sequence[Damage]
    missing_bytes: int = 0


def all_segment_paths(directory: Path) -> list[Path]:
    """Return every segment in `directory` in ascending order, those too that a later one replaces.

    There is none in a directory that is not there. Raises JournalFailed where it cannot be read.
    """
    try:
        return sorted(filter(segment_number, directory.iterdir()), key=segment_number)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalFailed(directory, error) from error


def segment_paths(directory: Path) -> list[Path]:
    """Return the segments to read, in ascending order: all but those that a later one replaces."""
    paths = all_segment_paths(directory)
    headers = [read_header(path) for path in paths]
    replaced = {header.replaces for header in headers if header}
    return [path for path in paths if segment_number(path) not in replaced]


def read_header(path: Path) -> SegmentHeader | None:
    """Return the header of a segment, or None where that is damaged.

    Raises UnknownJournalVersion where another version wrote it, MisnamedSegment where it is another segment,
    JournalFailed where the file cannot be read.
    """
    return _header(_read(path, HEADER_BYTES), path)


def size_bytes(path: Path) -> int:
    """Return how large the file is. Raises JournalFailed where that cannot be told."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise JournalFailed(path, error) from error


def read_segment(path: Path, *, last: bool = True) -> SegmentContents:
    """Return what stands in a segment; damage is reported, never raised.

    `last` says that no later segment stands, so that its last append may be torn. Raises as `read_header`.
    """
    data = _read(path)
    return _contents(path, data, len(data), last)


def read_segments(paths: Sequence[Path]) -> Iterator[SegmentContents]:
    """Yield what stands in each of all segments, as `read_segment` returns it.

    The records of one are there until the next is asked for: all are read into the same memory, which takes a
    third of the time that new pages for each would take.
    """
    buffer = bytearray(max(map(size_bytes, paths), default=0))
    for path in paths:
        yield _contents(path, buffer, _read_into(path, buffer), last=path == paths[-1])


def _contents(path: Path, data: bytes | bytearray, end: int, last: bool) -> SegmentContents:
    """Return what stands in a segment, the first `end` bytes of `data`."""
    header = _header(bytes(data[: min(HEADER_BYTES, end)]), path)
    if header is None:
        return SegmentContents(path, None, (), (Damage(0, end, UNREADABLE),))
    records, damage = _scan(data, end, header)
    if last:
        records, damage = _without_torn_append(records, damage, header.head_bytes)
    return SegmentContents(path, header, records, damage, max(header.head_bytes - end, 0))


def set_aside(directory: Path, path: Path, damage: Damage) -> Path:
    """Copy the damaged bytes of `path` to `damaged/` beside the journal's `directory`, and return where.

    The copy is synced when this returns. Raises JournalFull or JournalFailed where it cannot be made.
    """
    kept = directory.parent / "damaged" / f"{path.name}-{damage.offset}"
    try:
        kept.parent.mkdir(exist_ok=True)
        with path.open("rb") as source, kept.open("wb") as target:
            source.seek(damage.offset)
            target.write(source.read(damage.length))
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise journal_error(kept, error) from error
    return kept


def move_aside(directory: Path, path: Path) -> Path:
    """Move a segment of which nothing can be read to `damaged/` beside the journal, and return where.

    Raises as `set_aside`.
    """
    kept = directory.parent / "damaged" / path.name
    try:
        kept.parent.mkdir(exist_ok=True)
        while kept.exists():
            kept = kept.with_name(f"{kept.name}~")
        path.rename(kept)
        sync_directory(kept.parent)
        sync_directory(directory)
    except OSError as error:
        raise journal_error(kept, error) from error
    return kept


def _read(path: Path, length: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(length)
    except OSError as error:
        raise JournalFailed(path, error) from error


def _read_into(path: Path, buffer: bytearray) -> int:
    """Fill `buffer` with a file that it has room for, and return how many bytes that has."""
    filled = 0
    try:
        with path.open("rb", buffering=0) as file, memoryview(buffer) as view:
            while some := file.readinto(view[filled:]):
                filled += some
    except OSError as error:
        raise JournalFailed(path, error) from error
    return filled


def _header(data: bytes, path: Path) -> SegmentHeader | None:
    decoded = decode_header(data)
    if decoded is None:
        return None
    version, header = decoded
    if version != VERSION:
        raise UnknownJournalVersion(path, version, VERSION)
    if header.number != segment_number(path):
        # A copy would be read beside its original.
        raise MisnamedSegment(path, segment_name(header.number))
    return header


def _scan(
    data: bytes | bytearray, end: int, header: SegmentHeader
) -> tuple[list[StoredRecord], list[Damage]]:
    records: list[StoredRecord] = []
    damage: list[Damage] = []
    offset = HEADER_BYTES
    while found := next_record(data, offset, end, header.seeds):
        if found.start > offset:
            damage.append(Damage(offset, found.start - offset, DAMAGED))
        records.append(found)
        offset = found.end
    # Zeros behind the last record were preallocated, but not in the head.
    past = max(_without_zeros(data, offset, end), min(header.head_bytes, end))
    if past > offset:
        damage.append(Damage(offset, past - offset, DAMAGED))
    return records, damage


def _without_zeros(data: bytes | bytearray, offset: int, end: int) -> int:
    """Return where the zeros begin that `data` ends in, no earlier than `offset`."""
    while end - offset >= len(_ZEROS) and data[end - len(_ZEROS) : end] == _ZEROS:
        end -= len(_ZEROS)
    return offset + len(data[offset:end].rstrip(b"\0"))


def _without_torn_append(
    records: list[StoredRecord], damage: list[Damage], head_bytes: int
) -> tuple[list[StoredRecord], list[Damage]]:
    """Tell the torn tail from other damage, and leave out the records of an append that is not whole."""
    tail = max(records[-1].end if records else HEADER_BYTES, head_bytes)
    end = max([tail, *(found.offset + found.length for found in damage)])
    if records and records[-1].end > head_bytes:
        append_start, append_end = records[-1].append_start, records[-1].append_end
        kept = [record for record in records if record.append_start != append_start]
        if sum(record.end - record.start for record in records[len(kept) :]) < append_end - append_start:
            tail, records = append_start, kept
    before = [found._replace(length=min(found.length, tail - found.offset)) for found in damage]
    damage = [found for found in before if found.length > 0]
    return records, [*damage, Damage(tail, end - tail, TORN)] if end > tail else damage
