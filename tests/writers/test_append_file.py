"""AppendFile: every period once and whole, whatever broke off before."""

import errno
import os
import resource
from contextlib import contextmanager
from functools import partial

import pytest

from stats_aggregator_writers import append_file
from stats_aggregator_writers.append_file import AppendFile
from stats_aggregator_writers.errors import ForeignFileError

HEADER = b"id,key\n"
EARLIER_HEADER = b"id\n"
PERIODS = {f"p{number}": [f"p{number},key-{key}\n".encode() for key in range(3)] for number in range(4)}
WHOLE = HEADER + b"".join(b"".join(rows) for rows in PERIODS.values())
EARLIER_WHOLE = EARLIER_HEADER + b"".join(f"p{number}\n".encode() * 3 for number in range(4))


def id_of(line):
    return line.rstrip(b"\n").split(b",")[0].decode()


def lines_of(period_id, header):
    rows = PERIODS[period_id]
    return b"".join(rows if header == HEADER else [id_of(row).encode() + b"\n" for row in rows])


def opened(path):
    return AppendFile(str(path), id_of, (HEADER, EARLIER_HEADER))


def deliver(file, *ids):
    for period_id in ids or PERIODS:
        file.append(period_id, partial(lines_of, period_id))


@contextmanager
def largest_file(size_bytes):
    """Let no file of this process grow past `size_bytes`: writing stops there, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_periods_are_appended_in_order_below_one_header(tmp_path):
    path = tmp_path / "made" / "with" / "parents.csv"
    deliver(opened(path))
    assert path.read_bytes() == WHOLE


def test_a_period_that_comes_again_is_not_written_again(tmp_path):
    path = tmp_path / "x.csv"
    file = opened(path)
    deliver(file, "p0", "p0", "p1", "p0", "p2", "p3", "p3")
    assert path.read_bytes() == WHOLE
    deliver(opened(path), "p2", "p3", "p1")
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_a_crash_at_any_byte_costs_nothing(tmp_path, cut):
    path = tmp_path / "x.csv"
    path.write_bytes(WHOLE[:cut])
    ends = [len(WHOLE) - sum(len(b"".join(PERIODS[later])) for later in list(PERIODS)[i:]) for i in range(4)]
    # The period that was being written comes again, and where its last byte was written, it does so too.
    first = max((i for i, begin in enumerate(ends) if begin < cut), default=0)
    deliver(opened(path), *list(PERIODS)[first:])
    assert path.read_bytes() == WHOLE


def test_a_full_disk_leaves_nothing_behind_once_there_is_room(tmp_path):
    path = tmp_path / "x.csv"
    file = opened(path)
    deliver(file, "p0")
    full_at = path.stat().st_size + 15
    with largest_file(full_at), pytest.raises(OSError) as caught:
        deliver(file, "p1")
    assert caught.value.errno == errno.EFBIG
    assert path.stat().st_size == full_at  # it broke off in the middle of a row
    deliver(file, "p1", "p2", "p3")
    assert path.read_bytes() == WHOLE


def test_a_full_disk_at_the_very_first_write_is_survived(tmp_path):
    path = tmp_path / "x.csv"
    file = opened(path)
    with largest_file(3), pytest.raises(OSError):
        deliver(file, "p0")
    deliver(file)
    assert path.read_bytes() == WHOLE


def test_a_sync_that_fails_does_not_write_the_period_twice(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    file = opened(path)
    deliver(file, "p0")

    def failing(descriptor):
        raise OSError(errno.EIO, "lost")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="lost"):
            deliver(file, "p1")
    deliver(file, "p1", "p2", "p3")
    assert path.read_bytes() == WHOLE


def test_a_file_that_a_person_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "x.csv"
    file = opened(path)
    deliver(file, "p0", "p1")
    path.rename(tmp_path / "kept.csv")
    deliver(file, "p2")
    assert path.read_bytes() == HEADER + b"".join(PERIODS["p2"])
    assert (tmp_path / "kept.csv").read_bytes() == HEADER + b"".join(PERIODS["p0"] + PERIODS["p1"])


@pytest.mark.parametrize("content", [b"something else\n", b"id,other\np0,1\n", b"x"])
def test_a_file_with_other_columns_is_left_as_it_is_and_named(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ForeignFileError, match=r"x\.csv begins with .* move it away") as caught:
        deliver(opened(path))
    assert isinstance(caught.value, OSError)
    assert path.read_bytes() == content


@pytest.mark.parametrize("cut", range(len(EARLIER_HEADER + b"p0\n"), len(EARLIER_WHOLE) + 1))
def test_a_file_with_an_earlier_header_is_continued_under_it_wherever_it_broke_off(tmp_path, cut):
    path = tmp_path / "x.csv"
    path.write_bytes(EARLIER_WHOLE[:cut])
    deliver(opened(path), *list(PERIODS)[(cut - len(EARLIER_HEADER) - 1) // 9 :])
    assert path.read_bytes() == EARLIER_WHOLE


@pytest.mark.parametrize(
    "content", [b"", b"i", EARLIER_HEADER[:-1], EARLIER_HEADER, EARLIER_HEADER + b"p", HEADER[:-1], HEADER]
)
def test_a_file_without_a_whole_row_is_begun_anew_with_the_newest(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    deliver(opened(path))
    assert path.read_bytes() == WHOLE


def test_a_file_with_an_earlier_header_that_is_moved_away_is_followed_by_one_with_the_newest(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(EARLIER_HEADER + b"p0\n" * 3)
    file = opened(path)
    deliver(file, "p1")
    path.rename(tmp_path / "kept.csv")
    deliver(file, "p2")
    assert (tmp_path / "kept.csv").read_bytes() == EARLIER_HEADER + b"p0\n" * 3 + b"p1\n" * 3
    assert path.read_bytes() == HEADER + b"".join(PERIODS["p2"])


def test_a_directory_that_cannot_be_is_an_oserror(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        deliver(opened(tmp_path / "file" / "x.csv"))


@pytest.mark.parametrize("tail_bytes", [1, 10, 25, 40])
def test_a_file_longer_than_the_tail_that_is_read_is_mended_too(tmp_path, monkeypatch, tail_bytes):
    monkeypatch.setattr(append_file, "TAIL_BYTES", tail_bytes)
    path = tmp_path / "x.csv"
    path.write_bytes(WHOLE[:-4])
    deliver(opened(path), "p3", "p2")
    assert path.read_bytes() == WHOLE


def test_the_ids_in_memory_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(append_file, "REMEMBERED_PERIODS", 5)
    path = tmp_path / "x.csv"
    file = opened(path)
    for number in range(20):
        file.append(f"q{number}", lambda _, number=number: f"q{number},key\n".encode())
    assert list(file._ids) == ["q15", "q16", "q17", "q18", "q19"]
    again = opened(path)
    again.append("q17", lambda _: b"q17,key\n")
    assert list(again._ids) == ["q15", "q16", "q17", "q18", "q19"]


def test_a_period_is_one_write_and_durable_before_the_return(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync

    def watched_write(descriptor, data):
        calls.append(("write", bytes(data)))
        return write(descriptor, data)

    def watched_fsync(descriptor):
        fsync(descriptor)
        calls.append(("fsync", os.path.realpath(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "write", watched_write)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    path = tmp_path / "x.csv"
    file = opened(path)
    deliver(file, "p0")
    assert calls == [
        ("write", HEADER + b"".join(PERIODS["p0"])),
        ("fsync", str(path)),
        ("fsync", str(tmp_path)),
    ]
    calls.clear()
    deliver(file, "p1")
    assert calls == [("write", b"".join(PERIODS["p1"])), ("fsync", str(path))]
