"""A disk without room: the journal stays as it was, and goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stats_aggregator.errors import JournalFull
from stats_aggregator.journal.journal import Durability
from stats_aggregator.journal.segment import segment_name
from tests.aggregator.journals import begin, contents_of, group, groups_in

DISK_BYTES = 1 << 20


@pytest.fixture
def disk() -> Iterator[Path]:
    """Yield a file system of DISK_BYTES."""
    # Not in tmp_path: a mount that a killed run left behind would break pytest's own tidying for ever.
    point = Path(tempfile.mkdtemp(prefix="small-disk-"))
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(point)]
        try:
            mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command here: a small disk cannot be made")
        if mounted.returncode:
            pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
        yield point
        # Lazily, because a test that failed has the journal still open.
        subprocess.run(["umount", "-l", str(point)], check=True)
    finally:
        point.rmdir()


def fill(path: Path, leave_bytes: int) -> Path:
    """Write a file that leaves about `leave_bytes` of room beside it."""
    room = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - leave_bytes)))
    return path


@pytest.mark.parametrize("durability", [Durability.FULL, Durability.PROCESS])
def test_an_append_without_room_leaves_no_trace_and_can_be_repeated(
    disk: Path, durability: Durability
) -> None:
    journal = begin(disk / "journal", durability, segment_bytes=1 << 16)
    journal.append([group(b"before")], pins=["p"])
    ballast = fill(disk / "ballast", leave_bytes=100_000)
    append = [group(b"a" * 150_000), group(b"b" * 150_000)]
    for _ in range(3):
        with pytest.raises(JournalFull, match=r"No space left|only a part"):
            journal.append(append, pins=["q"])
        end = contents_of(disk / "journal")[0].records[-1].end
        assert (disk / "journal" / segment_name(1)).stat().st_size == end == journal.size_bytes
        assert groups_in(disk / "journal") == [b"before"]
    journal.append([group(b"a small one has room")])
    ballast.unlink()
    journal.append(append, pins=["q"])
    journal.close()
    assert groups_in(disk / "journal") == [b"before", b"a small one has room", b"a" * 150_000, b"b" * 150_000]


def test_without_room_for_the_next_segment_the_current_one_grows(disk: Path) -> None:
    directory = disk / "journal"
    journal = begin(directory, segment_bytes=200_000)
    ballast = fill(disk / "ballast", leave_bytes=120_000)
    bodies = [bytes([number]) * 30_000 for number in range(12)]
    for body in bodies[:8]:  # 240,000 bytes: past the size of a segment
        journal.append([group(body)], pins=["p"])
    assert (journal.segments, sorted(path.name for path in directory.iterdir())) == (1, [segment_name(1)])
    ballast.unlink()
    for body in bodies[8:]:
        journal.append([group(body)], pins=["p"])
    assert journal.segments == 2
    journal.close()
    assert groups_in(directory) == bodies


def test_a_segment_that_cannot_be_preallocated_is_not_begun(disk: Path) -> None:
    with pytest.raises(JournalFull, match="make room there"):
        begin(disk / "journal", segment_bytes=2 * DISK_BYTES)
    assert list((disk / "journal").iterdir()) == []
    begin(disk / "journal", segment_bytes=DISK_BYTES // 2).close()


LIMITED = """
import resource, sys
from pathlib import Path
from stats_aggregator.errors import JournalFull
from tests.aggregator.journals import begin, group, groups_in

directory = Path(sys.argv[1])
journal = begin(directory, segment_bytes=1 << 16)
journal.append([group(b"before")])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
append = [group(b"a" * 150_000)]
try:
    journal.append(append)
except JournalFull as error:
    print(error)
size = (directory / "0000000000000001.journal").stat().st_size
assert size == journal.size_bytes < 1000, size
assert groups_in(directory) == [b"before"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append([*append, group(b"after")], pins=["p"])
journal.close()
assert groups_in(directory) == [b"before", b"a" * 150_000, b"after"]
"""


def test_a_short_write_is_taken_back(tmp_path: Path) -> None:
    # A limit on file sizes makes the kernel write a part, on any machine and for any user.
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert "only a part could be written; make room there" in done.stdout
