"""A command that runs a daemon, as some file of the repository has it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stats_aggregator.cli.status import ask
from tests.meta.repository import WAIT_S


class Serving:
    """The command, started; `address` is where its daemon listens. A context manager that ends it."""

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._log = directory / "serving.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), self._log.read_text()
        self.address = line.split()[2]
        # One that answers heeds signals too.
        assert ask(self.address, WAIT_S)

    def stop(self) -> tuple[int, str]:
        """Ask it to stop as a service manager does; return its exit code and its log."""
        self._process.send_signal(signal.SIGTERM)
        # Read to the end, or a full pipe would hold up the writers' process.
        self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, self._log.read_text()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
