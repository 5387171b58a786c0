"""Ordinals: which periods of a category are closed, and the newest of them; never forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class LastPeriod(NamedTuple):
    """The newest closed period of a category; it outlives pruning. `end` is nanoseconds since the epoch."""

    ordinal: int
    step: int
    end: int


@dataclass(frozen=True, slots=True)
class ClosedOrdinals:
    """The closed ordinals of a category, as ranges with both ends included."""

    ranges: Sequence[tuple[int, int]] = ()

    def __contains__(self, ordinal: int) -> bool:
        return any(first <= ordinal <= last for first, last in reversed(self.ranges))

    @property
    def highest(self) -> int | None:
        """The highest closed ordinal, or None where none is."""
        return max((last for _, last in self.ranges), default=None)

    def gaps(self, below: int, known: Iterable[int] = ()) -> list[tuple[int, int]]:
        """Return the ranges from 1 to `below`, exclusive, that are neither closed nor `known`."""
        found, next_ordinal = [], 1
        for first, last in sorted([*self.ranges, *((ordinal, ordinal) for ordinal in known), (below, below)]):
            if next_ordinal < min(first, below):
                found.append((next_ordinal, min(first, below) - 1))
            next_ordinal = max(next_ordinal, last + 1)
        return found


def is_closed(connection: sqlite3.Connection, run: str, category: str, ordinal: int) -> bool:
    """Return whether the period is closed."""
    row = connection.execute(
        "SELECT last FROM closed WHERE run = ? AND category = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (run, category, ordinal),
    ).fetchone()
    return row is not None and ordinal <= row[0]


def mark_closed(
    connection: sqlite3.Connection, run: str, category: str, ordinal: int, step: int, end_ns: int
) -> None:
    """Note that the period is closed, and the newest of its category where it is."""
    _extend(connection, (run, category), ordinal)
    connection.execute(
        "INSERT INTO categories VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, category) DO UPDATE SET "
        "ordinal = excluded.ordinal, step = excluded.step, end_ns = excluded.end_ns "
        "WHERE excluded.ordinal > ordinal",
        (run, category, ordinal, step, end_ns),
    )


def give_up(connection: sqlite3.Connection, run: str, category: str, first: int, last: int) -> None:
    """Note that the periods from `first` to `last` are gone for good: none of them will ever be stored."""
    connection.execute("INSERT OR REPLACE INTO closed VALUES (?, ?, ?, ?)", (run, category, first, last))


def _extend(connection: sqlite3.Connection, name: tuple[str, str], ordinal: int) -> None:
    # Joins the ranges that end just before it and begin just after it, so a year of periods stays one row.
    before = connection.execute(
        "SELECT first FROM closed WHERE run = ? AND category = ? AND last = ?", (*name, ordinal - 1)
    ).fetchone()
    after = connection.execute(
        "SELECT last FROM closed WHERE run = ? AND category = ? AND first = ?", (*name, ordinal + 1)
    ).fetchone()
    first, last = before[0] if before else ordinal, after[0] if after else ordinal
    if after:
        connection.execute(
            "DELETE FROM closed WHERE (run, category, first) = (?, ?, ?)", (*name, ordinal + 1)
        )
    connection.execute("INSERT OR REPLACE INTO closed VALUES (?, ?, ?, ?)", (*name, first, last))


def closed(connection: sqlite3.Connection) -> Mapping[tuple[str, str], ClosedOrdinals]:
    """Return the closed ordinals of every (run, category)."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for run, category, first, last in connection.execute("SELECT run, category, first, last FROM closed"):
        found.setdefault((run, category), []).append((first, last))
    return {name: ClosedOrdinals(tuple(ranges)) for name, ranges in found.items()}


def last_period(connection: sqlite3.Connection, run: str, category: str) -> LastPeriod | None:
    """Return the newest closed period of a category, also when it has been pruned."""
    row = connection.execute(
        "SELECT ordinal, step, end_ns FROM categories WHERE run = ? AND category = ?", (run, category)
    ).fetchone()
    return LastPeriod(*row) if row else None
