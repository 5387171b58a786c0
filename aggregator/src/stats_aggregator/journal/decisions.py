"""Decisions: the bodies of the journal's records, so that a replay decides nothing anew.

All are MessagePack arrays but GROUP, which keeps the frames as they were received: a uint32 count, then for
each frame an int64 triple (ordinal of its period or 0, whether it is late, its length), then the frames.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgpack

from .segment import Record, RecordKind

_COUNT = struct.Struct("<I")


class SessionOpened(NamedTuple):
    """A session said HELLO for the first time."""

    session: bytes
    worker: str
    run: str
    process: bytes
    heard_ns: int


class Skipped(NamedTuple):
    """A session's seqs up to `seq` are consumed: refused (TOMBSTONE), or gone for good (GAP)."""

    session: bytes
    seq: int
    text: str


class Opened(NamedTuple):
    """A period began, or something else ends it now; `window_ns` is 0 where time does not end it."""

    run: str
    category: str
    ordinal: int
    start_ns: int
    window_ns: int


class Closed(NamedTuple):
    """A period ended, with all that was known only at that moment.

    `window_ns` is 0 where it was no time period.
    """

    run: str
    category: str
    ordinal: int
    end_ns: int
    window_ns: int
    step: int
    workers_expected: int
    duplicates: int
    cause: str
    owed: Sequence[bytes]


class Entry(NamedTuple):
    """A frame of a GROUP and where it belongs; `late` for its window, or for its round of WRITEs."""

    ordinal: int
    late: bool
    frame: bytes


Body = TypeVar("Body", SessionOpened, Skipped, Opened, Closed)


def pack(kind: RecordKind, body: Sequence[Any]) -> Record:
    """Return a record of any kind but GROUP."""
    return Record(kind, [msgpack.packb(tuple(body))])


def unpack(body_type: type[Body], body: bytes) -> Body:
    """Return the body that `pack` took."""
    return body_type(*msgpack.unpackb(body, use_list=False))


def pack_group(entries: Sequence[Entry]) -> Record:
    """Return the GROUP record of these frames; they are not copied."""
    numbers = [number for entry in entries for number in (entry.ordinal, entry.late, len(entry.frame))]
    head = _COUNT.pack(len(entries)) + struct.pack(f"<{len(numbers)}q", *numbers)
    return Record(RecordKind.GROUP, [head, *(entry.frame for entry in entries)])


def unpack_group(body: bytes) -> list[Entry]:
    """Return the entries that `pack_group` took."""
    (count,) = _COUNT.unpack_from(body)
    numbers = struct.unpack_from(f"<{3 * count}q", body, _COUNT.size)
    at = _COUNT.size + 24 * count
    entries = []
    for ordinal, late, length in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        entries.append(Entry(ordinal, bool(late), body[at : at + length]))
        at += length
    return entries
