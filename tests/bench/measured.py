"""Measured: what one section found, where and when; and the file that holds sections."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.machine import Machine
from tests.bench.row import Row


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of one section."""

    section: str
    machine: Machine
    date: str
    load_before: float
    """Of the last minute, when the section began: its own predecessors are part of it."""
    load_after: float
    rows: Sequence[Row]


def read(path: Path) -> dict[str, Measured]:
    """Return the sections of a file, by name; none where there is no file."""
    if not path.exists():
        return {}
    return {found["section"]: _measured(found) for found in json.loads(path.read_text())}


def write(path: Path, sections: Mapping[str, Measured]) -> None:
    """Write sections to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(section) for section in sections.values()], indent=1) + "\n")


def _measured(found: dict[str, Any]) -> Measured:
    rows = [Row(**row) for row in found.pop("rows")]
    return Measured(machine=Machine(**found.pop("machine")), rows=rows, **found)
