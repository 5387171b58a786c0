"""The server's end of a writer's process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.dispatch.control import Settings
from stats_aggregator.dispatch.process_files import ProcessFiles
from stats_aggregator.server.writer_process import WriterProcess
from tests.aggregator.writers_process import until


def test_a_process_that_dies_just_before_it_is_killed_hinders_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings("csv", str(tmp_path / "store.sqlite"), str(tmp_path), f"ipc://{tmp_path}/feed")
    events: list[dict[str, Any]] = []
    process = WriterProcess(settings, events.append)
    kill, killed = os.killpg, []

    def kill_late(pid: int, signal_number: int) -> None:
        kill(pid, signal_number)
        process._child.join(30)  # it has taken the exit code: that process is no more
        assert not process._child.is_kept
        killed.append(pid)
        kill(pid, signal_number)

    monkeypatch.setattr(os, "killpg", kill_late)
    with ProcessFiles(tmp_path, "csv").lock.open("wb") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # as another process of the plugin: this one waits for its end
        process.start()
        pid = until(lambda: process.pid, "the process runs")
        process.end()
    assert (killed, process.pid, events) == ([pid], None, [])
    process.end()
