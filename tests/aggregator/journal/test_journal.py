"""What the journal promises the engine: appends, rolls, pins, syncs, failures."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats_aggregator.clock import Clock
from stats_aggregator.errors import JournalFailed
from stats_aggregator.journal.journal import BESIDE_BYTES, Durability, Journal
from stats_aggregator.journal.null_journal import NullJournal
from stats_aggregator.journal.segment import RecordKind, segment_name
from stats_aggregator.journal.segment_reader import segment_paths
from tests.aggregator.journals import begin, contents_of, group, groups_in, plain
from tests.system.daemons import wait_until

LARGE = b"x" * 3000
SEGMENT_BYTES = 2000  # each LARGE fills one


def numbers(directory: Path) -> list[int]:
    return [int(path.stem) for path in segment_paths(directory)]


def fd_of(path: Path) -> int:
    """Return the descriptor that this process has open on `path`."""
    for fd in range(3, 1024):
        try:
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except OSError:
            pass  # no such descriptor
    raise LookupError(path)


@pytest.fixture
def broken_disk(tmp_path: Path):
    """Yield a journal, and a function that swaps what is under its open segment."""
    journal = begin(tmp_path, Durability.FULL)
    segment_fd = fd_of(tmp_path / segment_name(1))

    def swap(fd: int) -> None:
        os.dup2(fd, segment_fd)
        os.close(fd)

    yield journal, swap
    journal.close()


def test_a_segment_begins_with_a_snapshot_of_all_that_was_appended(tmp_path: Path) -> None:
    told: list[bytes] = []
    journal = begin(tmp_path, snapshot=lambda: b",".join(told), segment_bytes=SEGMENT_BYTES)
    for name in (b"one", b"two", b"three"):
        told.append(name)  # the engine decides, then appends
        journal.append([group(name, LARGE)], pins=[name])
    snapshots = [plain(contents)[0] for contents in contents_of(tmp_path)]
    assert snapshots == [
        (RecordKind.SNAPSHOT, told_by_then) for told_by_then in (b"", b"one", b"one,two", b"one,two,three")
    ]
    assert journal.segments == 4
    journal.close()


def test_a_segment_goes_when_its_last_pin_is_released(tmp_path: Path) -> None:
    journal = begin(tmp_path, segment_bytes=SEGMENT_BYTES)
    journal.append([group(b"small")], pins=["p"])
    journal.append([group(LARGE)], pins=["q"])  # segment 1: p, q
    journal.append([group(LARGE)], pins=["q"])  # segment 2: q
    journal.append([group(LARGE)], pins=["r"])  # segment 3: r
    assert numbers(tmp_path) == [1, 2, 3, 4]
    journal.release("p")
    assert numbers(tmp_path) == [1, 2, 3, 4]
    journal.release("r")
    assert numbers(tmp_path) == [1, 2, 4]
    journal.release("q")
    assert numbers(tmp_path) == [4]
    assert (journal.segments, journal.size_bytes) == (1, contents_of(tmp_path)[0].records[-1].end)
    journal.close()


def test_the_current_segment_stays_and_goes_when_the_next_begins(tmp_path: Path) -> None:
    journal = begin(tmp_path, segment_bytes=SEGMENT_BYTES)
    journal.append([group(b"small")], pins=["p"])
    journal.release("p")
    journal.release("p")
    journal.release("of no one")
    assert numbers(tmp_path) == [1]
    journal.append([group(LARGE)])
    assert numbers(tmp_path) == [2]
    journal.close()


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.just("append"), st.sets(st.integers(0, 5), max_size=3))
        | st.tuples(st.just("release"), st.integers(0, 5)),
        max_size=25,
    )
)
def test_exactly_the_pinned_segments_and_the_current_one_stand(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple]
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = begin(directory, segment_bytes=SEGMENT_BYTES)
    current, pins = 1, {1: set()}
    for step, what in steps:
        if step == "append":
            journal.append([group(LARGE)], pins=what)
            pins[current] |= what
            current += 1
            pins[current] = set()
        else:
            journal.release(what)
            for pinned in pins.values():
                pinned.discard(what)
        assert numbers(directory) == [number for number in pins if number == current or pins[number]]
    journal.close()


def test_what_segments_hold_is_told(tmp_path: Path) -> None:
    journal = begin(tmp_path, segment_bytes=SEGMENT_BYTES)
    for _ in range(3):
        journal.append([group(LARGE)], pins=["p"])
    assert journal.size_bytes == sum(contents.records[-1].end for contents in contents_of(tmp_path))
    journal.close()


def test_something_else_is_done_while_a_large_append_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stats_aggregator.journal.journal.BESIDE_BYTES", BESIDE_BYTES)
    journal = begin(tmp_path, Durability.FULL)
    large, seen = bytes(BESIDE_BYTES), []

    def is_written() -> bool:
        # Whoever looks while it is being written sees a part of it, which reads as damage.
        (contents,) = contents_of(tmp_path)
        return (RecordKind.GROUP, large) in plain(contents)

    def meanwhile() -> None:
        wait_until(is_written, "the append, in the file")
        seen.append(threading.current_thread())

    journal.append([group(large)], ("pin",), meanwhile)
    assert seen == [threading.current_thread()]
    assert groups_in(tmp_path) == [large]
    assert journal.sync_times.num == 1
    journal.close()


@pytest.mark.parametrize(("durability", "syncs"), [(Durability.FULL, 3), (Durability.PROCESS, 0)])
def test_full_durability_syncs_once_an_append(tmp_path: Path, durability: Durability, syncs: int) -> None:
    journal = begin(tmp_path / "data" / "journal", durability)
    for _ in range(3):
        journal.append([group(b"a"), group(b"b")])
    assert journal.sync_times.num == syncs
    assert (journal.sync_times.last_s > 0) == (syncs > 0)
    journal.close()
    assert groups_in(tmp_path / "data" / "journal") == [b"a", b"b"] * 3


def test_it_works_where_the_system_lacks_what_macos_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.delattr(os, "fdatasync", raising=False)
    journal = begin(tmp_path, Durability.FULL, segment_bytes=SEGMENT_BYTES)
    assert (tmp_path / segment_name(1)).stat().st_size == journal.size_bytes
    for body in (b"a", LARGE, b"b"):
        journal.append([group(body)], pins=["p"])
    journal.close()
    assert groups_in(tmp_path) == [b"a", LARGE, b"b"]


def test_a_journal_that_stands_is_never_begun_over(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.append([group(b"kept")])
    with pytest.raises(JournalFailed, match="File exists"):
        begin(tmp_path)
    journal.close()
    assert groups_in(tmp_path) == [b"kept"]
    assert [path.name for path in tmp_path.iterdir()] == [segment_name(1)]


def test_durability_none_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NullJournal"):
        begin(tmp_path, Durability.NONE)
    journal = NullJournal()
    journal.append([group(b"a")], pins=["p"])
    journal.release("p")
    journal.close()
    assert (journal.size_bytes, journal.segments, journal.sync_times.num) == (0, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_null_object_has_every_public_name_of_a_journal() -> None:
    public = {name for name in dir(Journal) if not name.startswith("_")} - {"resume"} | {"sync_times"}
    assert public <= set(dir(NullJournal))


def test_a_failed_sync_fails_every_later_append(tmp_path: Path, broken_disk) -> None:
    journal, swap = broken_disk
    journal.append([group(b"good")])
    reader, writer = os.pipe()  # it takes writes, and no sync
    swap(writer)
    with pytest.raises(JournalFailed, match="Invalid argument") as first:
        journal.append([group(b"bad")])
    assert isinstance(first.value.__cause__, OSError)
    assert first.value.path == tmp_path / segment_name(1)
    received = os.read(reader, 1 << 16)
    assert received.endswith(b"bad")
    with pytest.raises(JournalFailed):
        journal.append([group(b"later")])
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)  # nothing was written, so nothing was synced either
    assert journal.sync_times.num == 1
    os.close(reader)
    assert groups_in(tmp_path) == [b"good"]


def test_half_an_append_that_cannot_be_taken_back_fails_the_journal(tmp_path: Path, broken_disk) -> None:
    journal, swap = broken_disk
    journal.append([group(b"good")])
    swap(os.open("/dev/full", os.O_WRONLY))  # no room, and no truncation
    with pytest.raises(JournalFailed):
        journal.append([group(b"bad")])
    with pytest.raises(JournalFailed):
        journal.append([group(b"later")])
    assert groups_in(tmp_path) == [b"good"]


def test_a_write_error_is_no_full_disk(tmp_path: Path, broken_disk) -> None:
    journal, swap = broken_disk
    swap(os.open(tmp_path / segment_name(1), os.O_RDONLY))
    with pytest.raises(JournalFailed, match=os.strerror(errno.EBADF)):
        journal.append([group(b"bad")])


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalFailed, match="file"):
        begin(tmp_path / "file" / "journal")


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.append([group(b"a")])
    journal.close()
    journal.close()
    assert groups_in(tmp_path) == [b"a"]


APPENDING = """
import sys
from pathlib import Path
from tests.aggregator.journals import begin, group
from stats_aggregator.journal.journal import Durability
journal = begin(Path(sys.argv[1]), Durability.PROCESS, segment_bytes=1 << 20)
for number in range(1_000_000):
    body = number.to_bytes(4, "little")
    journal.append([group(body, b"x" * 50_000), group(body, b"y" * 50_000), group(body)], pins=["p"])
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 30])
def test_what_was_appended_survives_kill_9_and_appends_are_whole(tmp_path: Path, acknowledged: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", APPENDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for number in range(acknowledged):
        assert int(process.stdout.readline()) == number
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    last = max([acknowledged - 1, *map(int, process.stdout.read().split())])
    process.stdout.close()
    bodies = [
        body
        for contents in contents_of(tmp_path)
        for kind, body in plain(contents)
        if kind is RecordKind.GROUP
    ]
    assert len(bodies) % 3 == 0
    assert len(bodies) // 3 in (last + 1, last + 2)  # the last one may not have been told any more
    for number in range(len(bodies) // 3):
        head = number.to_bytes(4, "little")
        assert bodies[3 * number : 3 * number + 3] == [head + b"x" * 50_000, head + b"y" * 50_000, head]


def test_the_time_of_a_sync_comes_from_the_clock_that_was_handed_in(tmp_path: Path) -> None:
    clock = Clock(not_before_ns=1 << 62)  # far in the future: durations only
    journal = Journal(tmp_path, Durability.FULL, snapshot=bytes, clock=clock)
    journal.append([group(b"a")])
    assert 0 < journal.sync_times.last_s < 60
    journal.close()
