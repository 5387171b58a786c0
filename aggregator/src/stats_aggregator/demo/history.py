"""History: all periods so far, read from a `summaries.jsonl` as it grows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """One line of the file: the summaries of one category and period. Times are in nanoseconds."""

    category: str
    start: int
    end: int
    step: int
    workers_reporting: int
    workers_expected: int
    late: int
    lost: int
    stats: Mapping[str, Mapping[str, Any]]


class History:
    """The periods of each category in order; `read` takes in what was written since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.periods: dict[str, list[PeriodLine]] = {}

    def read(self) -> list[PeriodLine]:
        """Return the periods that are new; a line that is not yet whole waits for the next call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._offset += len(line)
            record = json.loads(line)
            period = PeriodLine(**{name: record[name] for name in PeriodLine.__slots__})
            self.periods.setdefault(period.category, []).append(period)
            found.append(period)
        return found

    def series(self, category: str, key: str, field: str = "value") -> list[float]:
        """Return one field of one series over the periods that have it."""
        lines = self.periods.get(category, [])
        found = (line.stats[key][field] for line in lines if key in line.stats)
        return [value for value in found if value is not None]

    def latest(self, category: str) -> PeriodLine | None:
        """Return the newest period of `category`, if there is any."""
        lines = self.periods.get(category)
        return lines[-1] if lines else None
