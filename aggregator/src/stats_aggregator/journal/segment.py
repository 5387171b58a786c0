"""A segment of the journal: its format in words, and how it is encoded and decoded.

A segment is a file `NNNNNNNNNNNNNNNN.journal`, named by its number in 16 decimal digits, from 1: a header,
then records without a gap, then zeros that were preallocated. The first two records are the same SNAPSHOT,
and the header stands twice too: what all the rest hangs on must not hang on one byte. Numbers are unsigned
and little-endian, CRCs are CRC-32.

- The header, twice 56 bytes: the magic `SAJOURNL`; version, u32; number, u64; the number of the segment that
  this one replaces, or 0, u64; how many bytes the head has, u64; the salt, 16 random bytes; CRC of all these,
  u32. The head is what was in the file, and synced where durability is full, before it got its name: this
  header, the snapshots, and what a checkpoint or a rewrite put behind. No write that broke off can hit it.
- A record: a header of 28 bytes, then a body. The header, each field a u32 but the magic of 4 bytes: magic;
  kind; bytes of the same append before this record; bytes of the whole append; bytes of the body; CRC of the
  body; CRC of this header. An append is what one call of the journal wrote: records without a gap.

The CRCs of record headers start from the CRC of the salt's first half, those of bodies from the CRC of its
second: bytes of another segment, or values that look like a record, never pass for one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

VERSION = 1
SUFFIX = ".journal"
SALT_BYTES = 16
MAX_BODY_BYTES = 256 << 20
"""The largest body of a record."""
MAX_APPEND_BYTES = 1 << 30
"""The largest append; a write call takes this much on every system."""

_HEADER_MAGIC = b"SAJOURNL"
_HEADER = struct.Struct("<8sIQQQ16s")
_RECORD_MAGIC = b"\xa7REC"
_RECORD = struct.Struct("<4sIIIII")
_CRC = struct.Struct("<I")
_COPY_BYTES = _HEADER.size + _CRC.size
HEADER_BYTES = 2 * _COPY_BYTES
RECORD_HEADER_BYTES = _RECORD.size + _CRC.size
_COPIED_BYTES = 4096  # Copying less than this is cheaper than a buffer of its own.


class RecordKind(IntEnum):
    """What a record tells; its body is the engine's affair."""

    SNAPSHOT = 1
    SESSION = 2
    GROUP = 3
    OPEN = 4
    CLOSE = 5
    TOMBSTONE = 6
    GAP = 7
    FOLD = 8
    CHECKPOINT = 9


_KINDS = {int(kind): kind for kind in RecordKind}


class Record(NamedTuple):
    """A record to append: the parts of its body are written one after the other."""

    kind: RecordKind
    body: Sequence[bytes | memoryview]


class StoredRecord(NamedTuple):
    """A record as read, its body in one part; the other fields are offsets in the file, in bytes.

    Records of one append have the same `append_start`.
    """

    record: Record
    start: int
    end: int
    append_start: int
    append_end: int


class Seeds(NamedTuple):
    """From where the CRCs of a segment's record headers and bodies start."""

    header: int
    body: int


class SegmentHeader(NamedTuple):
    """Who a segment is. `replaces` is 0 unless it was rewritten from another.

    `head_bytes` is how large the file was when it got its name.
    """

    number: int
    replaces: int
    head_bytes: int
    salt: bytes

    @property
    def seeds(self) -> Seeds:
        """From where the CRCs of its records start."""
        return Seeds(zlib.crc32(self.salt[:8]), zlib.crc32(self.salt[8:]))


def segment_name(number: int) -> str:
    """Return the file name of segment `number`."""
    return f"{number:016d}{SUFFIX}"


def segment_number(path: Path) -> int:
    """Return the number in a segment's file name, or 0, which is no segment's, for any other name."""
    digits = path.name.removesuffix(SUFFIX)
    return int(digits) if digits.isdecimal() and segment_name(int(digits)) == path.name else 0


def encode_header(header: SegmentHeader) -> bytes:
    """Return the first bytes of a segment."""
    fields = _HEADER.pack(_HEADER_MAGIC, VERSION, *header)
    return 2 * (fields + _CRC.pack(zlib.crc32(fields)))


def decode_header(data: bytes) -> tuple[int, SegmentHeader] | None:
    """Return the version and the header that `data` begins with, or None where both copies are damaged."""
    for copy in (data[:_COPY_BYTES], data[_COPY_BYTES:HEADER_BYTES]):
        if len(copy) < _COPY_BYTES:
            continue
        magic, version, *fields = _HEADER.unpack_from(copy)
        (crc,) = _CRC.unpack_from(copy, _HEADER.size)
        if magic == _HEADER_MAGIC and crc == zlib.crc32(copy[: _HEADER.size]):
            return version, SegmentHeader(*fields)
    return None


def encode_append(records: Sequence[Record], seeds: Seeds) -> list[bytes | memoryview]:
    """Return the bytes of an append as buffers, the large parts of bodies without a copy.

    Raises ValueError where a body or the whole is too large.
    """
    bodies = [_gather(record.body) for record in records]
    lengths = [sum(map(len, body)) for body in bodies]
    append_bytes = sum(lengths) + len(lengths) * RECORD_HEADER_BYTES
    if append_bytes > MAX_APPEND_BYTES or max(lengths, default=0) > MAX_BODY_BYTES:
        raise ValueError(
            f"an append of {append_bytes} bytes, its largest body {max(lengths)}; "
            f"at most {MAX_APPEND_BYTES} and {MAX_BODY_BYTES} are allowed"
        )
    buffers: list[bytes | memoryview] = []
    before = 0
    for record, body, length in zip(records, bodies, lengths, strict=True):
        body_crc = seeds.body
        for part in body:
            body_crc = zlib.crc32(part, body_crc)
        fields = _RECORD.pack(_RECORD_MAGIC, record.kind, before, append_bytes, length, body_crc)
        buffers.append(fields + _CRC.pack(zlib.crc32(fields, seeds.header)))
        buffers += body
        before += RECORD_HEADER_BYTES + length
    return buffers


def next_record(data: bytes | bytearray, offset: int, end: int, seeds: Seeds) -> StoredRecord | None:
    """Return the first whole record in `data` from `offset` to `end`, or None; its body is a view of it."""
    view = memoryview(data)[:end]
    while (offset := data.find(_RECORD_MAGIC, offset, end)) >= 0:
        start = offset + RECORD_HEADER_BYTES
        fields = view[offset : offset + _RECORD.size]
        if start > end or zlib.crc32(fields, seeds.header) != _CRC.unpack_from(data, start - 4)[0]:
            offset += 1
            continue
        _, kind, before, append_bytes, length, body_crc = _RECORD.unpack(fields)
        body = view[start : start + length]
        if len(body) == length and zlib.crc32(body, seeds.body) == body_crc and kind in _KINDS:
            append, record = offset - before, Record(_KINDS[kind], (body,))
            return StoredRecord(record, offset, start + length, append, append + append_bytes)
        # The header is sound, hence the length: what stands within that body is no record.
        offset = start + length
    return None


def _gather(body: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    gathered: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = []
    for part in body:
        if len(part) < _COPIED_BYTES:
            small.append(part)
            continue
        if small:
            gathered.append(b"".join(small))
            small = []
        # The length of a view is in items, not bytes, unless it is cast.
        gathered.append(part if isinstance(part, bytes) else part.cast("B"))
    if small:
        gathered.append(b"".join(small))
    return gathered
