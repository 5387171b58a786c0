"""What damage costs: the record it is in, and never a word more than that."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.errors import JournalFailed, MisnamedSegment, UnknownJournalVersion
from stats_aggregator.journal.segment import (
    HEADER_BYTES,
    RecordKind,
    SegmentHeader,
    encode_header,
    segment_name,
)
from stats_aggregator.journal.segment_reader import (
    Damage,
    read_header,
    read_segment,
    read_segments,
    segment_paths,
    set_aside,
)
from tests.aggregator.journals import begin, group, head_of, plain, written

BODIES = [b"first", b"", b"third, a little longer", b"\xa7REC", b"fifth"]
ONE_BY_ONE = [[group(body)] for body in BODIES]
TOGETHER = [[group(b"a"), group(b"bb")], [group(b"ccc"), group(b"dddd"), group(b"e")]]


def test_a_cut_anywhere_leaves_the_records_before_it(tmp_path: Path) -> None:
    path, data = written(tmp_path, ONE_BY_ONE)
    ends = [stored.end for stored in read_segment(path).records]
    whole = plain(read_segment(path))
    head_bytes = head_of(path)
    for cut in range(HEADER_BYTES, len(data)):
        path.write_bytes(data[:cut])
        contents = read_segment(path)
        assert plain(contents) == whole[: sum(end <= cut for end in ends)], cut
        reason = "damaged record" if cut < head_bytes else "torn tail"
        assert [found.reason for found in contents.damage] == [reason] * (cut not in [HEADER_BYTES, *ends])
        assert contents.missing_bytes == max(head_bytes - cut, 0), cut


def test_zeros_where_a_disk_had_not_written_yet_are_as_a_cut(tmp_path: Path) -> None:
    path, data = written(tmp_path, ONE_BY_ONE)
    ends = [stored.end for stored in read_segment(path).records]
    whole = plain(read_segment(path))
    head_bytes = head_of(path)
    for cut in range(HEADER_BYTES, len(data)):
        path.write_bytes(data[:cut] + bytes(len(data) - cut + 5000))
        contents = read_segment(path)
        assert plain(contents) == whole[: sum(end <= cut for end in ends)], cut
        if cut < head_bytes:  # it had written all of that before
            start = max([HEADER_BYTES, *(end for end in ends if end <= cut)])
            assert contents.damage == [Damage(start, head_bytes - start, "damaged record")], cut


def test_an_append_that_was_cut_counts_not_at_all(tmp_path: Path) -> None:
    path, data = written(tmp_path, TOGETHER)
    whole = plain(read_segment(path))
    start = read_segment(path).records[-1].append_start
    for cut in range(start + 1, len(data)):
        path.write_bytes(data[:cut])
        contents = read_segment(path)
        assert plain(contents) == whole[:4], cut
        assert contents.damage == [Damage(start, len(data[start:cut].rstrip(b"\0")), "torn tail")], cut


def test_an_append_whose_pages_came_in_another_order_counts_not_at_all(tmp_path: Path) -> None:
    path, data = written(tmp_path, TOGETHER)
    whole = plain(read_segment(path))
    start = read_segment(path).records[-1].append_start
    for lost in range(start, len(data)):
        path.write_bytes(data[:lost] + bytes([data[lost] ^ 0xFF]) + data[lost + 1 :])
        contents = read_segment(path)
        assert plain(contents) == whole[:4], lost
        assert contents.damage == [Damage(start, len(data) - start, "torn tail")], lost


@pytest.mark.parametrize("appends", [ONE_BY_ONE, TOGETHER])
def test_a_flipped_byte_costs_at_most_its_record(tmp_path: Path, appends: list[list]) -> None:
    path, data = written(tmp_path, appends)
    stored = read_segment(path).records
    whole = plain(read_segment(path))
    for position in range(HEADER_BYTES, len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        contents = read_segment(path, last=False)
        (hit,) = (index for index, found in enumerate(stored) if found.start <= position < found.end)
        assert plain(contents) == whole[:hit] + whole[hit + 1 :], position
        assert contents.damage == [
            Damage(stored[hit].start, stored[hit].end - stored[hit].start, "damaged record")
        ], position


def test_damage_before_the_last_append_costs_its_record_in_the_last_segment_too(tmp_path: Path) -> None:
    path, data = written(tmp_path, TOGETHER)
    hit = read_segment(path).records[1]
    whole = plain(read_segment(path))
    path.write_bytes(data[: hit.end - 1] + b"?" + data[hit.end :])
    contents = read_segment(path)
    assert plain(contents) == whole[:1] + whole[2:]
    assert contents.damage == [Damage(hit.start, hit.end - hit.start, "damaged record")]


def test_damage_that_runs_into_a_torn_append_is_told_apart(tmp_path: Path) -> None:
    path, data = written(tmp_path, TOGETHER)
    stored = read_segment(path).records
    whole = plain(read_segment(path))
    # From the end of the append before into the first record of the last.
    path.write_bytes(data[: stored[3].end - 1] + b"?" * 10 + data[stored[3].end + 9 :])
    contents = read_segment(path)
    assert plain(contents) == whole[:3]
    start = stored[4].append_start
    assert contents.damage == [
        Damage(stored[3].start, start - stored[3].start, "damaged record"),
        Damage(start, len(data) - start, "torn tail"),
    ]


@settings(max_examples=150, deadline=None)
@given(
    hits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=60)), max_size=5),
    cut=st.floats(0, 1),
    last=st.booleans(),
)
def test_any_damage_is_reported_and_nothing_is_made_up(
    tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[float, bytes]], cut: float, last: bool
) -> None:
    path, data = written(tmp_path_factory.mktemp("journal"), ONE_BY_ONE + TOGETHER)
    whole = plain(read_segment(path))
    broken = bytearray(data)
    for place, noise in hits:
        offset = HEADER_BYTES + int(place * (len(data) - HEADER_BYTES))
        broken[offset : offset + len(noise)] = noise
    path.write_bytes(broken[: HEADER_BYTES + int(cut * len(broken))])
    contents = read_segment(path, last=last)
    rest = iter(whole)
    assert all(found in rest for found in plain(contents))  # in the order in which they were written
    spans = [(stored.start, stored.end) for stored in contents.records]
    spans += [(found.offset, found.offset + found.length) for found in contents.damage]
    covered = HEADER_BYTES
    for start, end in sorted(spans):
        assert start == covered
        covered = end
    assert not any(path.read_bytes()[covered:])


def test_a_flipped_byte_in_the_header_costs_nothing(tmp_path: Path) -> None:
    path, data = written(tmp_path, ONE_BY_ONE)
    whole = read_segment(path)
    for position in range(HEADER_BYTES):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        contents = read_segment(path)
        assert (contents.header, plain(contents), contents.damage) == (whole.header, plain(whole), []), (
            position
        )


def test_a_header_that_is_damaged_twice_is_damage_as_a_whole_and_stays(tmp_path: Path) -> None:
    path, data = written(tmp_path, ONE_BY_ONE)
    half = HEADER_BYTES // 2
    for position in range(half):
        broken = bytearray(data)
        broken[position] ^= 0x55
        broken[half + (position * 7 + 3) % half] ^= 0x55
        path.write_bytes(broken)
        contents = read_segment(path)
        assert (contents.header, contents.records) == (None, ())
        assert contents.damage == (Damage(0, len(data), "unreadable header"),)
        assert segment_paths(tmp_path) == [path]


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES // 2 - 1])
def test_a_file_shorter_than_a_header_is_unreadable(tmp_path: Path, length: int) -> None:
    path, data = written(tmp_path, [])
    path.write_bytes(data[:length])
    assert read_segment(path).damage == (Damage(0, length, "unreadable header"),)


def test_a_segment_under_the_name_of_another_is_refused_and_its_own_name_said(tmp_path: Path) -> None:
    path, _ = written(tmp_path, ONE_BY_ONE)
    copy = tmp_path / segment_name(2)
    shutil.copy(path, copy)
    for read in (read_header, read_segment):
        with pytest.raises(MisnamedSegment, match=f"{copy.name}: holds .* belongs in {path.name}; give it"):
            read(copy)


def test_segments_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        (tmp_path / segment_name(number)).write_bytes(encode_header(SegmentHeader(number, 0, 0, bytes(16))))
    for stranger in ("notes.journal", "12.journal", f"{segment_name(3)}.new", f"{segment_name(4)}~"):
        (tmp_path / stranger).write_bytes(b"")
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(n) for n in (9, 10, 100)]


def test_a_segment_that_a_later_one_replaces_is_not_read(tmp_path: Path) -> None:
    for number, replaces in ((1, 0), (2, 0), (3, 2), (4, 3)):
        (tmp_path / segment_name(number)).write_bytes(
            encode_header(SegmentHeader(number, replaces, 0, bytes(16)))
        )
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(n) for n in (1, 4)]


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    path, data = written(tmp_path, ONE_BY_ONE)
    fields = data[:8] + (2).to_bytes(4, "little") + data[12:52]
    path.write_bytes(2 * (fields + zlib.crc32(fields).to_bytes(4, "little")) + data[HEADER_BYTES:])
    with pytest.raises(
        UnknownJournalVersion, match="version 2 of the journal; this stats-aggregator reads 1"
    ):
        read_segment(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / segment_name(1)
    path.mkdir()
    with pytest.raises(JournalFailed, match=segment_name(1)):
        read_header(path)


def test_damaged_bytes_are_set_aside_beside_the_journal(tmp_path: Path) -> None:
    path, data = written(tmp_path / "journal", ONE_BY_ONE)
    hit = read_segment(path).records[4]
    assert hit.record.kind is RecordKind.GROUP
    damage = Damage(hit.start, hit.end - hit.start, "damaged record")
    for _ in range(2):  # a second start finds the same
        kept = set_aside(tmp_path / "journal", path, damage)
        assert kept == tmp_path / "damaged" / f"{path.name}-{hit.start}"
        assert kept.read_bytes() == data[hit.start : hit.end]
    assert path.read_bytes() == data


def test_what_cannot_be_set_aside_is_an_error(tmp_path: Path) -> None:
    path, _ = written(tmp_path / "journal", [])
    (tmp_path / "damaged").write_bytes(b"in the way")
    with pytest.raises(JournalFailed, match="damaged"):
        set_aside(tmp_path / "journal", path, Damage(0, 10, "torn tail"))


def test_reading_goes_on_while_a_journal_is_written(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    for count in range(1, 4):
        journal.append([group(b"x" * count)])
        (path,) = segment_paths(tmp_path)
        assert [len(body) for _, body in plain(read_segment(path))[2:]] == list(range(1, count + 1))
    journal.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 400)), max_size=5))
def test_segments_read_into_the_same_memory_are_as_each_alone(
    tmp_path_factory: pytest.TempPathFactory, segments: list[tuple[list[bytes], int]]
) -> None:
    directory = tmp_path_factory.mktemp("segments")
    paths = []
    for number, (bodies, cut) in enumerate(segments):
        path, data = written(directory / str(number), [[group(body)] for body in bodies])
        # Cut off, what follows in the memory is of an earlier one, perhaps longer.
        path.write_bytes(data[: len(data) - cut])
        paths.append(path)
    found = [(plain(contents), contents[3:]) for contents in read_segments(paths)]
    alone = [read_segment(path, last=path == paths[-1]) for path in paths]
    assert found == [(plain(contents), contents[3:]) for contents in alone]
