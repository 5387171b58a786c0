"""ProcessFiles: what the process of a plugin keeps in the data directory."""

from __future__ import annotations

from pathlib import Path

from stats_aggregator_api import path_part


class ProcessFiles:
    """`lock` lets in one process of the plugin, `calls` is its record of calls (calls.py)."""

    def __init__(self, data_dir: Path, plugin: str) -> None:
        directory = data_dir / "writers"
        directory.mkdir(exist_ok=True)
        self.lock = directory / f"{path_part(plugin)}.lock"
        self.calls = directory / f"{path_part(plugin)}.calls"
