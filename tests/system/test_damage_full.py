"""Disks that are full, read-only, or not ours: said in one sentence, waited out, and nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stats_aggregator.errors import JournalFull
from stats_aggregator.journal.segment_reader import read_segment, set_aside
from stats_aggregator_client import StatsClient
from tests import oracle
from tests.system.ballast import fill
from tests.system.daemons import Daemon, wait_until
from tests.system.damages import (
    NUM_CLOSED,
    NUM_OPEN,
    Sentence,
    counted,
    daemon_in,
    goes_on,
    kill,
    push,
    segments,
)

DISK_BYTES = 8 << 20


@pytest.fixture
def disk() -> Iterator[Path]:
    """Yield a small file system of its own. Who is not root has one within a namespace (see `_as_root`)."""
    # Not in tmp_path: a mount that a killed run left behind would be in the way of pytest's own tidying.
    point = Path(tempfile.mkdtemp(prefix="small-disk-"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(point)], check=True)
        yield point
    finally:
        # Lazily, because a test that failed has files open there.
        subprocess.run(["umount", "-l", str(point)], check=False)
        point.rmdir()


@pytest.fixture(autouse=True)
def _as_root(request: pytest.FixtureRequest) -> None:
    """Run the test in a namespace where we are root, and may mount, unless we are."""
    if os.geteuid() == 0:
        return
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", request.node.nodeid]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", *test],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pytest.skip("it was run, and passed, as root of a namespace")


def state(daemon: Daemon) -> str:
    return str(daemon.status()["state"])


def test_a_full_disk_is_waited_out_by_journal_and_store(disk: Path) -> None:
    told = oracle.Oracle()
    with (
        daemon_in(disk / "daemon") as daemon,
        StatsClient(daemon.address, worker="w", run="run", ack_timeout_s=0.5) as client,
    ):
        push(client, "closed", 1, 0, 100)
        ballast = fill(disk)
        # There is room in the segment that was preallocated: it is acknowledged, and cannot be closed.
        push(client, "closed", 1, 100, 100)
        client.reporter("closed").write_stats(1)
        assert client.flush(30)
        wait_until(lambda: state(daemon) == "waiting for room on the disk", "the closer to wait")
        values = [oracle.value(1, number) for number in range(200, 60_000)]
        client.reporter("closed").add_stats(oracle.key(1), values)
        wait_until(lambda: "not acknowledging" in daemon.log.read_text(), "the journal to be full")
        assert not client.flush(0.1)
        told.acked(1, 200)
        ballast.unlink()
        assert client.flush(30), client.statistics()
        told.acked(1, 60_000)
        wait_until(lambda: state(daemon) == "running", "all to go on")
        assert client.close()
        assert daemon.stop() == 0, daemon.log.read_text()
    log = daemon.log.read_text()
    assert "waiting for room on the disk" in log
    assert "there is room on the disk again" in log
    assert counted(told.check(oracle.stored_periods(disk / "daemon" / "data"))) == [60_000]


def test_a_start_on_a_full_disk_says_make_room_and_goes_on_with_all_once_there_is(
    disk: Path, template: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(template, disk / "left"))
    data = directory / "data"
    started = 0
    for number, leave_bytes in enumerate((0, 8 << 10, 68 << 10, 160 << 10)):
        if leave_bytes == 8 << 10:
            (data / "store.sqlite-shm").unlink()  # then SQLite needs room before anything else
        ballast = fill(disk, leave_bytes)
        daemon = daemon_in(directory)
        daemon.log = tmp_path / f"{number}.log"
        try:
            daemon.start()
        except AssertionError:
            daemon.kill()  # it has ended; this closes its pipe
            errors = [line for line in daemon.log.read_text().splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, daemon.log.read_text()
            assert re.search("make room", errors[0]), errors
            assert "Traceback" not in daemon.log.read_text()
        else:
            started += 1
            kill(daemon)
        ballast.unlink()
    assert started < 3
    assert counted(goes_on(directory)) == [NUM_CLOSED, NUM_OPEN]


def test_damage_that_cannot_be_set_aside_for_want_of_room_is_not_gone_past(disk: Path, left: Path) -> None:
    data = Path(shutil.copytree(left / "data", disk / "data"))
    segment = segments(data)[1]
    broken = bytearray(segment.read_bytes())
    broken[30_000] ^= 1
    segment.write_bytes(broken)
    (damage,) = read_segment(segment, last=False).damage
    ballast = fill(disk)
    with pytest.raises(JournalFull, match="make room there"):
        set_aside(data / "journal", segment, damage)
    assert segment.read_bytes() == broken
    ballast.unlink()
    assert set_aside(data / "journal", segment, damage).stat().st_size == damage.length


def test_a_read_only_data_directory_is_said(
    disk: Path, template: Path, sentence: Sentence, tmp_path: Path
) -> None:
    shutil.copytree(template, disk / "left")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, said = sentence(disk / "left", "--results-dir", str(tmp_path / "results"))
    assert code == 1
    assert re.search(r"lock: Read-only file system; let the daemon's user read and write it", said), said


def test_another_daemon_is_said_with_its_process(left: Path, sentence: Sentence) -> None:
    with daemon_in(left) as daemon:
        code, said = sentence(left)
        assert (code, f"in use by another daemon (process {daemon.pid})" in said) == (1, True)


@pytest.mark.parametrize("name", ["data", "data/journal", "data/store.sqlite", "data/server-id"])
def test_what_may_not_be_read_is_said(left: Path, name: str) -> None:
    command = [sys.executable, "-m", "stats_aggregator", "serve", "--bind", "tcp://127.0.0.1:0"]
    command += ["--config", str(left / "damage.toml"), "--data-dir", str(left / "data")]
    if os.geteuid() == 0:
        # Root without the right to read what is nobody's to read.
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    (left / name).chmod(0)
    try:
        done = subprocess.run(
            [*command, "--results-dir", str(left / "results"), "--writer", "jsonl"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        (left / name).chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(f"/{name}.*let the daemon's user", line), line
    assert "Traceback" not in done.stderr
