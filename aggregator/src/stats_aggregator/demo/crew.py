"""Crew: the demo's processes, none of which outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENDED_BY_TETHER = -signal.SIGTERM
"""The exit code of a process that was let go before it had a handler for SIGTERM: it had not begun."""


@dataclass(frozen=True)
class Member:
    """One process. Its errors and, in the daemon's case, its log go to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def release(self) -> None:
        """Tell it to end, as its tether does when this process dies."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def fault(self) -> str | None:
        """Return what went wrong where it has ended badly, else None."""
        code = self.process.poll()
        if code in (None, 0, _ENDED_BY_TETHER):
            return None
        lines = self.log.read_text(errors="replace").strip().splitlines()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {how}" + (f": {lines[-1]}" if lines else "")

    def output(self) -> dict[str, Any]:
        """Return the JSON object that it printed last, or an empty one; it must have ended."""
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        return dict(json.loads(lines[-1])) if lines else {}


class Crew:
    """Starts processes and ends them all; a context manager that leaves none behind."""

    def __init__(self, directory: Path) -> None:
        """Keep logs in `directory`."""
        self._directory = directory
        self.members: list[Member] = []
        # What the user set for daemons and workers of their own is not for these.
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("STATS_AGGREGATOR_")
        }

    def start(self, name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> Member:
        """Start a module as a process that ends when this one does, by whatever way."""
        log = self._directory / f"{name}.log"
        with log.open("wb") as log_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "stats_aggregator.demo.tether", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                env={**self._environment, **environment},
                # A terminal's Ctrl-C is for the demo, which ends the workers before the daemon.
                start_new_session=True,
            )
        member = Member(name, process, log)
        self.members.append(member)
        return member

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
            member.process.wait()
            for pipe in (member.process.stdin, member.process.stdout):
                assert pipe is not None
                pipe.close()
