"""ProcessFiles: what the process of a plugin keeps in the data directory."""

from __future__ import annotations

from pathlib import Path

from stats_aggregator_api import path_part

from ..errors import DataDirectoryError


class ProcessFiles:
    """`lock` lets in one process of the plugin, `calls` is its record of calls (calls.py)."""

    def __init__(self, data_dir: Path, plugin: str) -> None:
        directory = data_dir / "writers"
        try:
            directory.mkdir(exist_ok=True)
        except OSError as error:
            why = f"cannot have the directory {directory.name} in it ({error.strerror}): move that file away"
            raise DataDirectoryError(data_dir, why) from error
        self.lock = directory / f"{path_part(plugin)}.lock"
        self.calls = directory / f"{path_part(plugin)}.calls"
