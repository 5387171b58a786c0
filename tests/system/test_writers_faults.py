"""Promise 4: one bad plugin hurts nobody, and gets what it missed. One test id for each way to be bad."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator_client import StatsClient, StatsReporter
from tests.aggregator.writers_process import install
from tests.system.daemons import Daemon, wait_until

STEPS = [1, 2, 3, 4]

# A writer that does `be_bad` in each call until it is mended, and notes what it tried and what it took.
BAD = """
import ctypes, json, os, re, signal, sys, threading
from pathlib import Path
from stats_aggregator_api import StatsWriter

class Bad(StatsWriter):
    def __init__(self, options):
        self.notes = Path(options.checkpoint_settings.results_dir, "bad.notes")
        self.mended = self.notes.with_name("mended")
    def note(self, *words):
        with self.notes.open("a") as file:
            file.write(json.dumps(words) + "\\n")
    def write_stats(self, category, values, step):
        self.note("tries", step)
        if not self.mended.exists():
            be_bad()
        self.note("took", step)

def be_bad():
    BE_BAD

def writers(options):
    return [Bad(options)]
"""

IN_CALL, DIES, FAILS = "in a call", "dies", "fails"
KINDS = {
    "raises": (r"raise ValueError('\x1b[2J\u202e')", FAILS),
    "is down": ("raise ConnectionRefusedError('the service is down')", FAILS),
    "exits": ("sys.exit(3)", FAILS),
    "hangs": ("threading.Event().wait()", IN_CALL),
    "spins": ("while True: pass", IN_CALL),
    "holds the interpreter": ("re.match('(a+)+$', 'a' * 64 + 'b')", IN_CALL),
    "fills its memory": ("hoard = [bytearray(1 << 20) for _ in range(1 << 30)]", FAILS),
    "is killed, as without memory": ("os.kill(os.getpid(), signal.SIGKILL)", DIES),
    "os._exit": ("os._exit(7)", DIES),
    "null pointer": ("ctypes.string_at(0)", DIES),
}


def _bad_daemon(tmp_path: Path, be_bad: str) -> Daemon:
    install(tmp_path / "site", "bad", BAD.replace("BE_BAD", be_bad))
    config = tmp_path / "serve.toml"
    config.write_text(f"[writers.bad]\nmax_memory_bytes = {128 << 20}\n")
    options = ["--config", str(config), "--writer", "jsonl", "--writer", "bad", "--drain-timeout", "500ms"]
    return Daemon(tmp_path, *options, environment={"PYTHONPATH": str(tmp_path / "site")})


def _write(daemon: Daemon, steps: list[int]) -> None:
    with StatsClient(daemon.address, run="run") as client:
        for step in steps:
            reporter = StatsReporter("3DBall", client)
            reporter.add_stat("step", float(step))
            reporter.write_stats(step)
        assert client.flush(30)


def _noted(daemon: Daemon, kind: str) -> list[int]:
    notes = daemon.results / "bad.notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [step for word, step in map(json.loads, lines) if word == kind]


def _is_seen(daemon: Daemon, symptom: str) -> bool:
    """Return whether `status` shows what is wrong with the bad one, and nothing wrong with the other."""
    found = daemon.status()
    writers: dict[str, Any] = {writer["plugin"]: writer for writer in found["writers"]}
    plugins: dict[str, Any] = {plugin["plugin"]: plugin for plugin in found["plugins"]}
    assert writers["jsonl"]["failures"] == plugins["jsonl"]["restarts"] == 0
    bad = writers.get("bad")
    if bad is None or not bad["backlog"]:
        return False
    if symptom == FAILS:
        return bad["state"] == "retrying" and bad["failures"] > 0 and bad["last_error"] != ""
    return plugins["bad"]["restarts"] > 0 if symptom == DIES else plugins["bad"]["in_call_s"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_writer_delays_nobody_and_gets_what_it_missed_after_a_restart(
    tmp_path: Path, kind: str
) -> None:
    be_bad, symptom = KINDS[kind]
    with _bad_daemon(tmp_path, be_bad) as daemon:
        _write(daemon, STEPS[:2])
        wait_until(lambda: _noted(daemon, "tries"), "the bad one's first call")
        _write(daemon, STEPS[2:])
        others = wait_until(
            lambda: len(lines := daemon.summaries("run")) == len(STEPS) and lines,
            "what the other one gets",
        )
        assert [line["step"] for line in others] == STEPS
        wait_until(lambda: _is_seen(daemon, symptom), "that the trouble is seen")
        assert _noted(daemon, "took") == []
        assert daemon.stop() == 3, "something waits for the next start"

        (daemon.results / "mended").touch()
        daemon.start()
        wait_until(lambda: _noted(daemon, "took") == STEPS, "all that it missed, in order and once each")
        assert daemon.stop() == 0
        assert len(daemon.summaries("run")) == len(STEPS)
    assert not {"\x1b", "\u202e"} & set(daemon.log.read_text()), "what a terminal would obey"


# The real writers, in a process that dies after each write and before it can be noted.
TWICE = """
import os
from pathlib import Path
from stats_aggregator_writers.csv import writers as csv
from stats_aggregator_writers.jsonl import writers as jsonl
from stats_aggregator_api import StatsWriter

class Dies(StatsWriter):
    def __init__(self, to, died):
        self.to, self.died = to, died
    def write_stats(self, category, values, step):
        self.to.write_stats(category, values, step)
        if not self.died.exists():
            self.died.touch()
            os._exit(7)
    def add_property(self, *arguments):
        self.to.add_property(*arguments)
    def close(self):
        self.to.close()

def writers(options):
    died = Path(options.checkpoint_settings.results_dir, "died-" + KIND)
    return [Dies(writer, died) for writer in {"csv": csv, "jsonl": jsonl}[KIND](options)]
"""


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_summary_that_is_delivered_twice_stands_once_in_the_file(tmp_path: Path, kind: str) -> None:
    install(tmp_path / "site", "twice", TWICE.replace("KIND", repr(kind)))
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    with Daemon(tmp_path, "--writer", "twice", environment=environment) as daemon:
        _write(daemon, STEPS)
        wait_until(
            lambda: (
                [p["restarts"] for p in daemon.status()["plugins"] if p["state"] == "loaded" and p["pid"]]
                == [1]
            ),
            "that its process died after the first write, and is there again",
        )
        assert daemon.stop() == 0
        assert (daemon.results / f"died-{kind}").exists()
        if kind == "jsonl":
            steps = [line["step"] for line in daemon.summaries("run")]
        else:
            rows = (daemon.results / "run" / "3DBall.csv").read_text().splitlines()
            column = rows[0].split(",").index("step")
            steps = [int(row.split(",")[column]) for row in rows[1:]]
    assert steps == STEPS


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of its processes")
def test_a_writer_leaves_cores_and_memory_to_the_others(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        _write(daemon, STEPS[:1])
        wait_until(lambda: daemon.summaries("run"), "a writer that is loaded")
        (writer,) = [plugin["pid"] for plugin in daemon.status()["plugins"] if plugin["pid"]]
        nice, session = _stat(writer)
        assert (nice, session) == (10, writer), "in a session of its own"
        group = Path(f"/proc/{writer}/autogroup")
        assert not group.exists() or group.read_text().split()[1:] == ["nice", "10"]
        assert int(Path(f"/proc/{writer}/oom_score_adj").read_text()) == 500
        assert _stat(daemon.pid)[0] == 0


def _stat(pid: int) -> tuple[int, int]:
    """Return a process's niceness and session."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[16]), int(fields[3])
