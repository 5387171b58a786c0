"""ResultsDirectory: the place below which writers write; that it can be had at all is said at the start."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SettingError


def make_results_directory(path: Path) -> None:
    """Make it where it is not there; raise SettingError where it cannot be made or written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        right = f"a directory that can be made and written; this one cannot: {error.strerror}"
        raise SettingError("--results-dir", str(path), right) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingError("--results-dir", str(path), "a directory that can be written")
