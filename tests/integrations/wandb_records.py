"""What W&B's own package wrote, read back by its own command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def files(directory: Path) -> list[Path]:
    """Return the files of the runs below `directory`, in the order in which they were last written."""
    found = directory.glob("wandb/*run-*/run-*.wandb")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the records of a kind in a file."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [record[kind] for record in found if record["type"] == kind]


def rows(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of history below `directory`."""
    return [record["item"] for path in files(directory) for record in records(path, "history")]
