"""ML-Agents itself in a child process, for tests that compare with it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

Series = tuple[str, str, Sequence[float]]
"""Key, aggregation and values."""
ReportedPeriod = tuple[str, int, Sequence[Series]]
"""Category, step and series."""


class RealMLAgents:
    """Reports to ML-Agents' own StatsReporter; a context manager."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(Path(__file__).parent / "real_child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def report(
        self, periods: Sequence[ReportedPeriod], tensorboard: Path | None = None
    ) -> list[dict[str, dict[str, float]]]:
        """Return its figures of each period by key; its TensorboardWriter writes where that is asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"periods": periods, "tensorboard": str(tensorboard) if tensorboard else None}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "ML-Agents' process ended"
        found: list[dict[str, dict[str, float]]] = json.loads(line)
        return found

    def __enter__(self) -> RealMLAgents:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
