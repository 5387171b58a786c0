"""Stored: what a daemon's store says, asked while it runs or afterwards."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class Stored:
    """A connection that reads the store of a daemon's directory."""

    def __init__(self, directory: Path) -> None:
        path = (directory / "data" / "store.sqlite").absolute()
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def num_values(self, category: str) -> int:
        """Return how many values the summaries of a category stand for; `%` in its name is any text."""
        question = (
            "SELECT coalesce(sum(num + num_nan + num_inf), 0) FROM summaries "
            "JOIN periods ON period = position WHERE category LIKE ?"
        )
        return int(self._connection.execute(question, (category,)).fetchone()[0])

    def num_periods(self, category: str) -> int:
        """Return how many periods of a category are stored; `%` in its name is any text."""
        question = "SELECT count(*) FROM periods WHERE category LIKE ?"
        return int(self._connection.execute(question, (category,)).fetchone()[0])

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
