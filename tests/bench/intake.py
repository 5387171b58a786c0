"""Intake: how many values one daemon takes from two workers, acknowledged and stored."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.bench.raw_session import CATEGORY, Shape
from tests.bench.stored import Stored
from tests.system.daemons import Daemon

WORKERS = 2


class Intake(NamedTuple):
    """What workers got rid of."""

    num_values: int
    seconds: float
    num_stored: int = 0
    """As many, where somebody stores it."""

    @property
    def values_per_s(self) -> float:
        return self.num_values / self.seconds


def push(mode: str, address: str, shape: Shape, seconds: float, batches: int = 0) -> Intake:
    """Let the workers push to an address for so long, or so many batches each."""
    command = [sys.executable, "-m", "tests.bench.pusher", mode, address, str(seconds), str(batches)]
    command += [str(shape.keys), str(shape.values)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    printed = [worker.communicate(timeout=300)[0].split() for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    return Intake(sum(int(values) for values, _ in printed), max(float(took_s) for _, took_s in printed))


def take(
    mode: str,
    shape: Shape,
    seconds: float,
    *options: str,
    environment: dict[str, str] | None = None,
    exit_code: int = 0,
) -> Intake:
    """Return what a daemon with these options takes, and stores."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), "--writer", "jsonl", *options, environment=environment) as daemon,
    ):
        taken = push(mode, daemon.address, shape, seconds)
        code = daemon.stop()
        assert code == exit_code, f"the daemon ended with {code}: {daemon.log.read_text()}"
        with Stored(daemon.directory) as store:
            stored = store.num_values(CATEGORY)
    assert stored == taken.num_values, f"{taken.num_values} acknowledged, {stored} in summaries"
    return taken._replace(num_stored=stored)
