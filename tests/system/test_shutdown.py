"""The daemon's end: bounded, whatever hangs, and with nothing left running."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from tests.aggregator.writers_process import install
from tests.system.ballast import fill
from tests.system.daemons import Daemon, wait_until

DOCKER_STOP_S = 10.0
STUCK = """
import os, re, threading
from pathlib import Path
from stats_aggregator_api import StatsWriter

class Stuck(StatsWriter):
    def __init__(self, options):
        self.run_dir = Path(options.checkpoint_settings.results_dir)
    def write_stats(self, category, values, step):
        (self.run_dir / "in-call").touch()
        BE_STUCK

def writers(options):
    return [Stuck(options)]
"""
HANGS, SPINS = "threading.Event().wait()", "while True: pass"


def _with_stuck(tmp_path: Path, be_stuck: str, *options: str) -> Daemon:
    install(tmp_path / "site", "stuck", STUCK.replace("BE_STUCK", be_stuck))
    environment = {"PYTHONPATH": str(tmp_path / "site"), "STATS_AGGREGATOR_SEGMENT_BYTES": "1048576"}
    return Daemon(tmp_path, "--writer", "jsonl", "--writer", "stuck", *options, environment=environment)


def _is_in_call(daemon: Daemon) -> bool:
    return (daemon.results / "in-call").exists()


def _push(daemon: Daemon, keys: int = 1, step: int | None = None) -> None:
    with StatsClient(daemon.address, run="run") as client:
        reporter = client.reporter("by time" if step is None else "by write")
        for number in range(keys):
            reporter.add_stat(f"key {number}", float(number))
        if step is not None:
            reporter.write_stats(step)
        assert client.flush(30)


def _children(daemon: Daemon) -> list[int]:
    return [plugin["pid"] for plugin in daemon.status()["plugins"] if plugin["pid"]]


def _is_running(pid: int) -> bool:
    try:
        # A zombie's parent, here whoever took it over, has not looked yet: it runs no more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 8 MiB."""
    point = Path(tempfile.mkdtemp(prefix="small-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", str(point)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        point.rmdir()
        pytest.skip("a small disk cannot be mounted here")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)
    point.rmdir()


def test_the_default_fits_into_dockers_ten_seconds_with_all_in_its_way_at_once(
    tmp_path: Path, small_disk: Path
) -> None:
    daemon = _with_stuck(tmp_path, HANGS, "--data-dir", str(small_disk / "data"))
    with daemon:
        _push(daemon, keys=1, step=1)
        wait_until(lambda: _is_in_call(daemon), "a writer that hangs")
        wait_until(lambda: daemon.summaries("run"), "the other one, at work before the disk is full")
        _push(daemon, keys=1000)
        ballast = fill(small_disk)
        children = _children(daemon)
        assert len(children) == 2
        began_s = time.monotonic()
        assert daemon.stop() == 3
        assert time.monotonic() - began_s < DOCKER_STOP_S
        wait_until(lambda: not any(map(_is_running, children)), "the end of the writers")
        ballast.unlink()
        # Of the thousand series none is lost.
        daemon.start()
        _push(daemon)
        wait_until(lambda: 1000 in [len(line["stats"]) for line in daemon.summaries("run")], "all of it")


def test_a_thousand_open_series_are_closed_stored_and_written(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl", "--writer", "csv") as daemon:
        _push(daemon, keys=1000)
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    assert len(line["stats"]) == 1000


def test_a_closer_that_waits_for_another_program_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl", "--drain-timeout", "1s") as daemon:
        _push(daemon)
        with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite", isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            assert daemon.stop() == 3
        assert "1 periods wait to be stored" in daemon.log.read_text()
        daemon.start()
        wait_until(lambda: daemon.summaries("run"), "the period, after the next start")
        assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_goes_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with _with_stuck(tmp_path, HANGS, "--drain-timeout", "1h") as daemon:
        _push(daemon, step=1)
        wait_until(lambda: _is_in_call(daemon), "a writer that hangs")
        children = _children(daemon)
        os.kill(daemon.pid, number)
        wait_until(lambda: _has_hung_up(daemon), "that it drains")
        assert daemon.poll() is None
        os.kill(daemon.pid, number)
        wait_until(lambda: daemon.poll() is not None, "its end")
        assert daemon.poll() == 128 + number
        wait_until(lambda: not any(map(_is_running, children)), "the end of the writers")


def _has_hung_up(daemon: Daemon) -> bool:
    port = int(daemon.address.rpartition(":")[2])
    return f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text()


@pytest.mark.parametrize("be_stuck", [HANGS, SPINS], ids=["hangs", "spins"])
def test_no_writer_outlives_a_daemon_that_is_killed(tmp_path: Path, be_stuck: str) -> None:
    with _with_stuck(tmp_path, be_stuck) as daemon:
        _push(daemon, step=1)
        wait_until(lambda: _is_in_call(daemon), "a writer that is stuck")
        children = _children(daemon)
        daemon.kill()
        wait_until(lambda: not any(map(_is_running, children)), "the end of the writers")


def test_what_a_plugin_has_started_ends_with_its_process_where_that_has_to_be_killed(tmp_path: Path) -> None:
    started = "import subprocess; child = subprocess.Popen(['sleep', '1000']); " \
        "(self.run_dir / 'child').write_text(str(child.pid)); child.wait()"  # fmt: skip
    with _with_stuck(tmp_path, started, "--drain-timeout", "300ms") as daemon:
        _push(daemon, step=1)
        file = daemon.results / "child"
        child = int(wait_until(lambda: file.exists() and file.read_text(), "the plugin's child"))
        assert daemon.stop() == 3
        wait_until(lambda: not _is_running(child), "its end")
    (said,) = [line for line in daemon.log.read_text().splitlines() if "writer stuck is ended" in line]
    assert said.endswith("what it has not taken is delivered after the next start")


def test_ctrl_c_in_a_terminal_reaches_the_writers_through_the_daemon_alone(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl") as daemon:
        _push(daemon)
        (child,) = wait_until(lambda: _children(daemon), "the writer's process")
        assert os.getpgid(child) != os.getpgid(daemon.pid)
        os.kill(daemon.pid, signal.SIGINT)
        wait_until(lambda: daemon.poll() is not None, "its end")
        assert daemon.poll() == 0
        assert len(daemon.summaries("run")) == 1
