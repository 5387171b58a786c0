"""A real daemon as a child process, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stats_aggregator.cli.status import ask
from stats_aggregator_api import path_part

WAIT_S = 30.0


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """Return the condition's first true answer; fail with `what` when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain: {what}"
        time.sleep(0.01)
    return found


class Daemon:
    """`stats-aggregator serve` on a port of its own; a restart keeps port and directories."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.results = directory / "results"
        self.log = directory / "serve.log"
        self._options = options
        self._python = python
        self._environment = {**os.environ, **(environment or {})}
        self._bind = "tcp://127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self.address = ""
        self.ready_line = ""
        self.printed = ""

    def start(self, failpoints: str = "") -> Daemon:
        """Start, for this once with `failpoints`, and wait until it says that it listens."""
        command = [self._python, "-m", "stats_aggregator", "serve", "--bind", self._bind]
        command += ["--data-dir", str(self.directory / "data"), "--results-dir", str(self.results)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**self._environment, "STATS_AGGREGATOR_FAILPOINTS": failpoints},
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.ready_line = line
                self.address = self._bind = line.split()[2]
                return self
        raise AssertionError(f"the daemon ended: {self._process.wait()}\n{self.log.read_text()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code where it has ended: negative, the number of the signal that ended it."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """End it as a power cut would: no handler runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        process = self._process
        if process is None:
            return 0
        self._process = None
        if process.poll() is None:
            process.send_signal(number)
        assert process.stdout is not None
        with process.stdout as stdout:
            self.printed += stdout.read()
        return process.wait(WAIT_S)

    def status(self) -> dict[str, Any]:
        """Return what `stats-aggregator status --json` prints."""
        found = ask(self.address, WAIT_S)
        assert found is not None
        return dict(found)

    def summaries(self, run: str) -> list[dict[str, Any]]:
        """Return the lines of the run's summaries.jsonl so far."""
        path = self.results / path_part(run) / "summaries.jsonl"
        if not path.exists():
            return []
        return [
            json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
