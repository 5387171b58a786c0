"""The head of a segment was on the disk before it got its name: what is missing there is damage."""

from __future__ import annotations

from pathlib import Path

from stats_aggregator.journal.segment import HEADER_BYTES
from stats_aggregator.journal.segment_reader import Damage, read_segment, segment_paths
from tests.aggregator.journals import begin, group, head_of


def test_the_head_is_what_was_in_the_file_when_it_got_its_name(tmp_path: Path) -> None:
    for number, (records, kept) in enumerate([([], 0), ([group(b"told", b"x" * 9000)], 1)]):
        journal = begin(tmp_path / str(number))
        journal.append([group(b"before")])
        journal.checkpoint(records, ["p"])
        path = segment_paths(tmp_path / str(number))[-1]
        assert head_of(path) == journal.size_bytes
        assert len(read_segment(path).records) == 2 + kept
        before = head_of(path)
        journal.append([group(b"behind")])
        assert head_of(path) == before
        journal.close()


def with_checkpoint(directory: Path) -> tuple[Path, bytes]:
    """Return a segment with a record of a checkpoint in its head, and an append of two behind."""
    journal = begin(directory)
    journal.checkpoint([group(b"head")], ["p"])
    journal.append([group(b"a"), group(b"bb")])
    journal.close()
    path = segment_paths(directory)[-1]
    return path, path.read_bytes()


def test_what_is_damaged_in_the_head_is_never_a_torn_tail(tmp_path: Path) -> None:
    path, data = with_checkpoint(tmp_path)
    stored, head_bytes = read_segment(path).records, head_of(path)
    for size in (head_bytes, len(data)):  # with nothing behind, too
        for position in range(HEADER_BYTES, head_bytes):
            path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 : size])
            (hit,) = (found for found in stored if found.start <= position < found.end)
            assert read_segment(path).damage == [Damage(hit.start, hit.end - hit.start, "damaged record")], (
                position
            )


def test_damage_of_the_head_that_runs_into_a_torn_tail_is_told_apart(tmp_path: Path) -> None:
    path, data = with_checkpoint(tmp_path)
    head_bytes = head_of(path)
    last = next(found for found in read_segment(path).records if found.end == head_bytes)
    path.write_bytes(data[: head_bytes - 1] + b"?" * 20)
    assert read_segment(path).damage == [
        Damage(last.start, last.end - last.start, "damaged record"),
        Damage(head_bytes, 19, "torn tail"),
    ]
