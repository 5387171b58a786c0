"""Ordinals: which periods of a category are closed, and the newest of them; never forgotten."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
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


def give_up(connection: sqlite3.Connection, run: str, category: str, first: int, last: int) -> None:
    """Note that the periods from `first` to `last` are gone for good: none of them will ever be stored."""
    connection.execute("INSERT OR REPLACE INTO closed VALUES (?, ?, ?, ?)", (run, category, first, last))


class Closing:
    """The ordinals that one transaction closes: looked up once a category, and written together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._before: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._newest: dict[tuple[str, str], LastPeriod] = {}

    def close(self, name: tuple[str, str], period: LastPeriod) -> bool:
        """Close a period of the category `name`; False, and nothing changed, where it is closed already."""
        ranges = self._ranges.get(name)
        if ranges is None:
            ranges = self._connection.execute(
                "SELECT first, last FROM closed WHERE run = ? AND category = ? ORDER BY first", name
            ).fetchall()
            self._ranges[name], self._before[name] = ranges, ranges.copy()
        if not _extend(ranges, period.ordinal):
            return False
        newest = self._newest.get(name)
        if newest is None or period.ordinal > newest.ordinal:
            self._newest[name] = period
        return True

    def write(self) -> None:
        """Write what was closed, and the newest period of each category where it is that."""
        gone, new = [], []
        for name, ranges in self._ranges.items():
            before = self._before[name]
            if ranges != before:
                firsts = {first for first, _ in ranges}
                gone += [(*name, first) for first, _ in before if first not in firsts]
                new += [(*name, *found) for found in set(ranges).difference(before)]
        self._connection.executemany("DELETE FROM closed WHERE (run, category, first) = (?, ?, ?)", gone)
        self._connection.executemany("INSERT OR REPLACE INTO closed VALUES (?, ?, ?, ?)", new)
        self._connection.executemany(
            "INSERT INTO categories VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, category) DO UPDATE SET "
            "ordinal = excluded.ordinal, step = excluded.step, end_ns = excluded.end_ns "
            "WHERE excluded.ordinal > ordinal",
            [(*name, *newest) for name, newest in self._newest.items()],
        )


def _extend(ranges: list[tuple[int, int]], ordinal: int) -> bool:
    """Take an ordinal into ascending ranges; False where one of them has it.

    It joins the ranges that end just before it and begin just after it, so a year of periods stays one row.
    """
    at = bisect_right(ranges, ordinal, key=itemgetter(0))
    before, after = ranges[at - 1 : at], ranges[at : at + 1]
    if before and ordinal <= before[0][1]:
        return False
    start = at - 1 if before and before[0][1] == ordinal - 1 else at
    end = at + 1 if after and after[0][0] == ordinal + 1 else at
    first = before[0][0] if start < at else ordinal
    last = after[0][1] if end > at else ordinal
    ranges[start:end] = [(first, last)]
    return True


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
