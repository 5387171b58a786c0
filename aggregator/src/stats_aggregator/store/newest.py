"""Newest: the latest periods of the runs that are open, for who shows them and writes nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from stats_aggregator_api import StatSummary

from .database import Database
from .stored import SummaryRow, summary_of

_MAX_LOOKED_THROUGH = 10_000
_COLUMNS = SummaryRow._fields[:-1]
"""Without the retained values, which are large, and gone once every writer has passed."""


class PeriodRow(NamedTuple):
    """A stored period without its summaries; `position` orders it among all that is stored."""

    position: int
    category: str
    end_ns: int
    step: int
    workers_reporting: int
    workers_expected: int
    late: int
    lost: int


class Newest:
    """Reads a store that another process writes. Every call may raise a StoreError."""

    def __init__(self, path: Path) -> None:
        """Open the store at `path`, which is there."""
        self._database = Database(path, read_only=True)

    def open_runs(self) -> dict[str, int]:
        """Return the runs that are open, and the position of each one's newest entry."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT run, last_position FROM runs WHERE NOT closed").fetchall())

    def periods(self, run: str, after: int, of_each: int) -> list[PeriodRow]:
        """Return of each category the newest periods after a position, at most `of_each`, oldest first.

        Of a run with very many periods that are new, only the newest of all are looked through.
        """
        columns, where = ", ".join(PeriodRow._fields), "run = ? AND position > ?"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM periods WHERE {where} ORDER BY position DESC LIMIT ?",
                (run, after, _MAX_LOOKED_THROUGH),
            ).fetchall()
        taken: Counter[str] = Counter()
        found = []
        for row in map(PeriodRow._make, rows):
            taken[row.category] += 1
            if taken[row.category] <= of_each:
                found.append(row)
        return found[::-1]

    def keys(self, position: int) -> dict[str, int]:
        """Return the keys of a period, each with the place of its summary; none where it is gone."""
        with self._database.reading() as connection:
            return dict(
                connection.execute(
                    "SELECT key, rowid FROM summaries WHERE period = ? ORDER BY rowid", (position,)
                ).fetchall()
            )

    def summary(self, place: int) -> StatSummary | None:
        """Return the summary at such a place, its percentiles by its buckets; None where it is gone."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM summaries WHERE rowid = ?"
        with self._database.reading() as connection:
            row = connection.execute(query, (place,)).fetchone()
        return summary_of(SummaryRow._make((*row, b""))) if row is not None else None

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self._database.close()
