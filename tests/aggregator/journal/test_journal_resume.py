"""Going on after a crash: the last segment is rewritten, and nothing is ever read twice."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from stats_aggregator.clock import Clock
from stats_aggregator.journal.journal import Durability, Journal
from stats_aggregator.journal.segment import HEADER_BYTES, RecordKind, segment_name
from stats_aggregator.journal.segment_reader import read_header, segment_paths
from tests.aggregator.journals import begin, contents_of, group, groups_in, plain

LARGE = b"x" * 3000


def crashed(directory: Path) -> None:
    """Leave three segments: 1 with p, 2 with q, and 3, the last, with small appends of p."""
    journal = begin(directory, segment_bytes=2000, snapshot=lambda: b"original")
    journal.append([group(b"1", LARGE)], pins=["p"])
    journal.append([group(b"2", LARGE)], pins=["q"])
    journal.append([group(b"3a"), group(b"3b")], pins=["p"])
    journal.append([group(b"3c")])


def resume(
    directory: Path, pins_of: Mapping[int, set[str]], durability: Durability = Durability.FULL
) -> Journal:
    found = contents_of(directory)
    return Journal.resume(
        directory,
        durability,
        snapshot=lambda: b"recovered",
        clock=Clock(),
        pins_of=pins_of,
        rewrite=found[-1] if found else None,
        segment_bytes=1 << 16,
    )


ALL = {1: {"p"}, 2: {"q"}, 3: {"p"}}
EVERYTHING = [b"1" + LARGE, b"2" + LARGE, b"3a", b"3b", b"3c"]


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.PROCESS])
def test_the_last_segment_is_rewritten_under_its_original_snapshot(
    tmp_path: Path, durability: Durability
) -> None:
    crashed(tmp_path)
    journal = resume(tmp_path, ALL, durability)
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(number) for number in (1, 2, 4)]
    assert not (tmp_path / segment_name(3)).exists()
    journal.append([group(b"4")])
    assert groups_in(tmp_path) == [*EVERYTHING, b"4"]
    last = contents_of(tmp_path)[-1]
    assert plain(last)[0] == (RecordKind.SNAPSHOT, b"original")
    appends = [stored.append_start for stored in last.records]
    assert [appends.count(start) for start in sorted(set(appends))] == [1, 1, 2, 1, 1]
    journal.close()


def test_all_that_was_rewritten_is_on_the_disk_so_that_damage_there_is_no_torn_tail(tmp_path: Path) -> None:
    crashed(tmp_path)
    resume(tmp_path, ALL).close()
    path = segment_paths(tmp_path)[-1]
    header, stored = read_header(path), contents_of(tmp_path)[-1].records
    assert header is not None
    assert header.head_bytes == stored[-1].end
    data = bytearray(path.read_bytes())
    data[stored[-1].end - 1] ^= 1
    data[stored[-2].end - 1] ^= 1
    path.write_bytes(data)
    last = contents_of(tmp_path)[-1]
    assert [body for _, body in plain(last)[2:]] == [b"3a"]  # though 3b is of its append
    assert [found.reason for found in last.damage] == ["damaged record"]


def test_an_empty_directory_begins_with_segment_1(tmp_path: Path) -> None:
    journal = resume(tmp_path / "journal", {})
    assert plain(contents_of(tmp_path / "journal")[0]) == [(RecordKind.SNAPSHOT, b"recovered")] * 2
    assert (journal.segments, segment_paths(tmp_path / "journal")[0].name) == (1, segment_name(1))
    journal.close()


def test_segments_that_nothing_pins_go_and_the_others_wait_for_their_pins(tmp_path: Path) -> None:
    crashed(tmp_path)
    journal = resume(tmp_path, {2: {"q"}, 3: {"p"}})
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(2), segment_name(4)]
    journal.append([group(LARGE * 30)])  # rolls; the rewritten segment has the old one's pin
    assert journal.segments == 3
    journal.release("q")
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(4), segment_name(5)]
    journal.release("p")
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(5)]
    journal.close()


def test_a_crash_after_the_rewrite_and_before_the_removal_reads_nothing_twice(tmp_path: Path) -> None:
    crashed(tmp_path)
    kept = tmp_path.parent / f"{tmp_path.name}-kept"
    shutil.copy(tmp_path / segment_name(3), kept)
    resume(tmp_path, ALL).close()
    shutil.copy(kept, tmp_path / segment_name(3))
    assert groups_in(tmp_path) == EVERYTHING
    journal = resume(tmp_path, {1: {"p"}, 2: {"q"}, 4: {"p"}})
    assert not (tmp_path / segment_name(3)).exists()
    assert groups_in(tmp_path) == EVERYTHING
    header = read_header(segment_paths(tmp_path)[-1])
    assert header is not None
    assert (header.number, header.replaces) == (5, 4)
    journal.close()


def test_a_crash_in_the_middle_of_the_rewrite_reads_the_old_segment(tmp_path: Path) -> None:
    crashed(tmp_path)
    whole = (tmp_path / segment_name(3)).read_bytes()
    for half in (0, HEADER_BYTES, HEADER_BYTES + 50):
        (tmp_path / f"{segment_name(4)}.new").write_bytes(whole[:half])
        (tmp_path / f"{segment_name(9)}.new").write_bytes(whole[:half])
        assert groups_in(tmp_path) == EVERYTHING
    journal = resume(tmp_path, ALL)
    assert groups_in(tmp_path) == EVERYTHING
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []
    journal.close()


def test_restart_after_restart_keeps_everything(tmp_path: Path) -> None:
    crashed(tmp_path)
    expected = list(EVERYTHING)
    for restart in range(4):
        found = contents_of(tmp_path)
        pins = {contents.header.number: {"p"} for contents in found if contents.header}
        journal = resume(tmp_path, pins)
        journal.append([group(b"again %d" % restart)], pins=["p"])
        expected.append(b"again %d" % restart)
        if restart % 2:
            journal.close()
        assert groups_in(tmp_path) == expected


def test_a_torn_tail_is_not_rewritten(tmp_path: Path) -> None:
    crashed(tmp_path)
    path = tmp_path / segment_name(3)
    last = contents_of(tmp_path)[-1].records[-1]
    with path.open("r+b") as file:
        file.truncate(last.end - 1)
    resume(tmp_path, ALL).close()
    assert groups_in(tmp_path) == EVERYTHING[:-1]


def test_a_snapshot_of_which_both_copies_are_lost_is_made_up_for_by_the_recovered_one(tmp_path: Path) -> None:
    crashed(tmp_path)
    path = tmp_path / segment_name(3)
    data = bytearray(path.read_bytes())
    for stored in contents_of(tmp_path)[-1].records[:2]:
        data[stored.end - 1] ^= 1
    path.write_bytes(data)
    journal = resume(tmp_path, ALL)
    assert groups_in(tmp_path) == EVERYTHING
    assert plain(contents_of(tmp_path)[-1]) == [(RecordKind.SNAPSHOT, b"recovered")] * 2
    journal.release("q")
    journal.release("p")
    assert [path.name for path in segment_paths(tmp_path)] == [segment_name(5)]
    journal.close()


def test_a_file_whose_header_is_unreadable_stays_where_it_is(tmp_path: Path) -> None:
    crashed(tmp_path)
    path = tmp_path / segment_name(3)
    path.write_bytes(b"?" * 100)
    journal = resume(tmp_path, {1: {"p"}, 2: {"q"}})
    assert plain(contents_of(tmp_path)[-1]) == [(RecordKind.SNAPSHOT, b"recovered")] * 2
    journal.append([group(b"4")])
    journal.release("p")
    journal.release("q")
    assert path.read_bytes() == b"?" * 100
    assert [found.name for found in segment_paths(tmp_path)] == [segment_name(3), segment_name(4)]
    journal.close()
