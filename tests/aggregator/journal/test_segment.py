"""The format of a segment, and that nothing but what was written is ever read from one."""

from __future__ import annotations

import zlib
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.journal.segment import (
    HEADER_BYTES,
    MAX_BODY_BYTES,
    Record,
    RecordKind,
    SegmentHeader,
    encode_append,
    encode_header,
    next_record,
    segment_name,
)
from stats_aggregator.journal.segment_reader import read_segment, segment_paths
from tests.aggregator.journals import TWO_SNAPSHOTS, begin, group, plain, written

kinds = st.sampled_from([kind for kind in RecordKind if kind is not RecordKind.SNAPSHOT])
parts = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"", bytes(4095), bytes(4096), b"x" * 20_000]), max_size=5
)
records = st.builds(Record, kinds, parts)


@settings(max_examples=60, deadline=None)
@given(appends=st.lists(st.lists(records, min_size=1, max_size=4), max_size=6))
def test_what_was_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[Record]]
) -> None:
    path, _ = written(tmp_path_factory.mktemp("journal"), appends)
    contents = read_segment(path)
    expected = [(record.kind, b"".join(record.body)) for append in appends for record in append]
    assert plain(contents) == [*TWO_SNAPSHOTS, *expected]
    assert contents.damage == []


def test_a_body_may_have_more_parts_than_one_write_takes(tmp_path: Path) -> None:
    large = [bytes([number % 251]) * 4096 for number in range(1500)]
    small = [bytes([number % 251]) for number in range(3000)]
    mixed = [part for pair in zip(large, small, strict=False) for part in pair]
    path, _ = written(tmp_path, [[group(*mixed), group(*small)]])
    assert plain(read_segment(path))[2:] == [
        (RecordKind.GROUP, b"".join(mixed)),
        (RecordKind.GROUP, b"".join(small)),
    ]


@pytest.mark.parametrize("count", [3, 5000])
def test_a_view_of_doubles_is_written_byte_for_byte(tmp_path: Path, count: int) -> None:
    column = array("d", range(count))
    path, _ = written(tmp_path, [[Record(RecordKind.GROUP, [b"head", memoryview(column)])]])
    assert plain(read_segment(path))[2] == (RecordKind.GROUP, b"head" + column.tobytes())


def test_the_records_of_an_append_say_so(tmp_path: Path) -> None:
    path, _ = written(tmp_path, [[group(b"a"), group(b"b")], [group(b"c")]])
    _, _, first, second, third = read_segment(path).records
    assert (first.append_start, first.append_end) == (second.append_start, second.append_end)
    assert (first.start, first.end, second.end) == (first.append_start, second.start, third.append_start)


def test_the_format_is_the_one_of_version_1() -> None:
    header = SegmentHeader(7, 6, 500, bytes(range(16)))
    assert encode_header(header).hex() == 2 * (
        "53414a4f55524e4c" "01000000" "0700000000000000" "0600000000000000" "f401000000000000"
        "000102030405060708090a0b0c0d0e0f"
        + zlib.crc32(encode_header(header)[:52]).to_bytes(4, "little").hex()
    )  # fmt: skip
    appended = b"".join(encode_append([group(b"ab", b"c"), Record(RecordKind.CLOSE, [])], header.seeds))
    first = b"\xa7REC" + b"".join(
        number.to_bytes(4, "little") for number in (3, 0, 59, 3, zlib.crc32(bytes(range(8, 16)) + b"abc"))
    )
    second = b"\xa7REC" + b"".join(
        number.to_bytes(4, "little") for number in (5, 31, 59, 0, zlib.crc32(bytes(range(8, 16))))
    )
    seed = bytes(range(8))
    assert appended == (
        first
        + zlib.crc32(seed + first).to_bytes(4, "little")
        + b"abc"
        + second
        + zlib.crc32(seed + second).to_bytes(4, "little")
    )


def test_preallocated_zeros_are_no_damage(tmp_path: Path) -> None:
    journal = begin(tmp_path, segment_bytes=1 << 16)
    journal.append([group(b"a")])
    (path,) = segment_paths(tmp_path)
    assert path.stat().st_size == 1 << 16
    assert plain(read_segment(path))[2:] == [(RecordKind.GROUP, b"a")]
    assert read_segment(path).damage == []
    journal.close()
    assert path.stat().st_size == journal.size_bytes


def test_bytes_of_an_older_segment_are_no_records(tmp_path: Path) -> None:
    _, older = written(tmp_path / "older", [[group(b"a" * 50)], [group(b"b" * 50)]])
    path, newer = written(tmp_path / "newer", [])
    # As on a disk that gave the file the older one's blocks and lost what was written to them.
    path.write_bytes(newer[:HEADER_BYTES] + older[HEADER_BYTES:])
    contents = read_segment(path)
    assert contents.records == []
    assert [(found.offset, found.reason) for found in contents.damage] == [
        (HEADER_BYTES, "damaged record"),
        (len(newer), "torn tail"),
    ]
    path.write_bytes(newer + older[len(newer) :])
    assert plain(read_segment(path)) == TWO_SNAPSHOTS


@pytest.mark.parametrize("salted", [False, True], ids=["as a sender could", "as only the journal could"])
def test_a_value_that_looks_like_a_record_is_none(tmp_path: Path, salted: bool) -> None:
    own = SegmentHeader(1, 0, 0, b"\x01" * 16)
    foreign = own if salted else own._replace(salt=b"\x02" * 16)
    inner = b"".join(encode_append([group(b"forged")], foreign.seeds))
    path = tmp_path / segment_name(1)
    outer = bytearray(b"".join(encode_append([group(b"before ", inner, b" after")], own.seeds)))
    outer[16] ^= 1  # the length, so that only its own CRC tells where the body ends
    path.write_bytes(encode_header(own) + outer + b"".join(encode_append([group(b"next")], own.seeds)))
    found = [body for _, body in plain(read_segment(path, last=False))]
    # With the very salt it would pass: the salt is what keeps it out, and it never leaves the file.
    assert found == ([b"forged", b"next"] if salted else [b"next"])


def test_a_damaged_body_hides_nothing_within_it(tmp_path: Path) -> None:
    own = SegmentHeader(1, 0, 0, b"\x01" * 16)
    inner = b"".join(encode_append([group(b"forged")], own.seeds))
    outer = bytearray(b"".join(encode_append([group(b"before ", inner)], own.seeds)))
    outer[28] ^= 1  # the first byte of the body: the header still says how long it is
    data = encode_header(own) + bytes(outer) + b"".join(encode_append([group(b"next")], own.seeds))
    found = next_record(data, HEADER_BYTES, len(data), own.seeds)
    assert found is not None
    assert bytes(found.record.body[0]) == b"next"


def test_a_body_past_the_limit_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    before = journal.size_bytes
    with pytest.raises(ValueError, match=f"its largest body {MAX_BODY_BYTES + 1}; at most"):
        journal.append([group(bytes(MAX_BODY_BYTES), b"x")])
    assert journal.size_bytes == before
    journal.close()
