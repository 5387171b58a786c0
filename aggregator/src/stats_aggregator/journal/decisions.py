"""Decisions: the bodies of the journal's records, so that a replay decides nothing anew.

All are MessagePack arrays but GROUP, which keeps the frames as they were received: a uint32 count, then for
each frame an int64 triple (ordinal of its period or 0; 1 where it is late, and 2 where its category had no
room of its own, added up; its length), then the frames.
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
    """A session's seqs up to `seq` are consumed: refused with a RejectCode (TOMBSTONE), or gone (GAP)."""

    session: bytes
    seq: int
    code: int
    text: str


class Opened(NamedTuple):
    """A period began, or something else ends it now; `window_ns` is 0 where time does not end it.

    What it may hold stands here, so that a replay under other settings keeps and folds the same.
    """

    run: str
    category: str
    ordinal: int
    start_ns: int
    window_ns: int
    retain_values: int
    max_series: int


class Folded(NamedTuple):
    """For want of memory a period keeps no values from here on, only buckets of at most `mantissa_bits`."""

    run: str
    category: str
    ordinal: int
    mantissa_bits: int


class Checkpointed(NamedTuple):
    """One of `pieces` of all that an open period holds, so that older segments may go.

    `num_values` are those that it holds, also where a piece is damaged.
    """

    run: str
    category: str
    ordinal: int
    num_values: int
    piece: int
    pieces: int
    data: bytes


class Closed(NamedTuple):
    """A period ended, with all that was known only at that moment.

    `window_ns` is 0 where it was no time period. `missing` are the first, by name, of the workers that were
    expected and are not in it. Journals of before have no fields from `start_ns` on: -1 stands for what the
    period itself has.
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
    start_ns: int = -1
    workers_reporting: int = -1
    missing: Sequence[str] = ()


class Entry(NamedTuple):
    """A frame of a GROUP and where it belongs; `late` for its window, or for its round of WRITEs.

    Where it `overflows`, there was no room for its category, and another one stands in.
    """

    ordinal: int
    late: bool
    frame: bytes
    overflows: bool = False


Body = TypeVar("Body", SessionOpened, Skipped, Opened, Folded, Checkpointed, Closed)


def pack(kind: RecordKind, body: Sequence[Any]) -> Record:
    """Return a record of any kind but GROUP."""
    return Record(kind, [msgpack.packb(tuple(body))])


def unpack(body_type: type[Body], body: bytes) -> Body:
    """Return the body that `pack` took."""
    return body_type(*msgpack.unpackb(body, use_list=False))


def pack_group(entries: Sequence[Entry]) -> Record:
    """Return the GROUP record of these frames; they are not copied."""
    numbers = [
        number
        for ordinal, late, frame, overflows in entries
        for number in (ordinal, late + 2 * overflows, len(frame))
    ]
    head = _COUNT.pack(len(entries)) + struct.pack(f"<{len(numbers)}q", *numbers)
    return Record(RecordKind.GROUP, [head, *(entry.frame for entry in entries)])


def unpack_group(body: memoryview) -> list[Entry]:
    """Return the entries that `pack_group` took."""
    (count,) = _COUNT.unpack_from(body)
    numbers = struct.unpack_from(f"<{3 * count}q", body, _COUNT.size)
    at = _COUNT.size + 24 * count
    entries = []
    for ordinal, flags, length in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        entries.append(Entry(ordinal, bool(flags & 1), bytes(body[at : at + length]), bool(flags & 2)))
        at += length
    return entries
