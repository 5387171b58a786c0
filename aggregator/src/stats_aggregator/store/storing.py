"""Storing: entries on their way into the store, all those of one transaction together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from .ordinals import Closing, LastPeriod
from .stored import ClosedPeriod, Entry, HeardRun, NewProperty, SummaryRow

PERIOD_COLUMNS = (
    "run, category, ordinal, id, start_ns, end_ns, step, workers_reporting, workers_expected, late, lost, "
    "uncertain, duplicates, missing, cause"
)
_INSERT_SUMMARY = f"INSERT INTO summaries VALUES ({', '.join('?' * (1 + len(SummaryRow._fields)))})"
_MORE_COLUMNS = "num_values, num_series, stored_ns, has_full_dist"
_NUM_COLUMNS = f"position, {PERIOD_COLUMNS}, {_MORE_COLUMNS}".count(",") + 1
_INSERT_PERIOD = (
    f"INSERT INTO periods (position, {PERIOD_COLUMNS}, {_MORE_COLUMNS}) "
    f"VALUES ({', '.join('?' * _NUM_COLUMNS)})"
)


class Storing:
    """What one transaction stores: each entry has the next position, and what they share is written once."""

    def __init__(self, connection: sqlite3.Connection, now_ns: int) -> None:
        self._connection = connection
        self._now_ns = now_ns
        self._before: int = connection.execute("SELECT last FROM positions").fetchone()[0]
        self._position: int = self._before
        self._closing = Closing(connection)
        self._heard: dict[str, _Heard] = {}
        self._placed: list[_Placed] = []

    @property
    def num_periods(self) -> int:
        """How many periods are among what is stored."""
        return len(self._placed)

    def store(self, entries: Iterable[Entry]) -> list[bool]:
        """Store entries in their order; return of each whether it was new, and changed something."""
        found = [self._take(entry) for entry in entries]
        self._connection.executemany(_INSERT_SUMMARY, self._summaries())
        self._connection.executemany(
            _INSERT_PERIOD, (placed.columns(self._now_ns) for placed in self._placed)
        )
        self._closing.write()
        self._connection.executemany(
            "INSERT INTO runs VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT (run) DO UPDATE SET closed = 0, "
            "touched_ns = max(touched_ns, ?3), last_position = max(last_position, ?4)",
            [(run, heard.first_ns, heard.last_ns, heard.position) for run, heard in self._heard.items()],
        )
        if self._position != self._before:
            self._connection.execute("UPDATE positions SET last = ?", (self._position,))
        return found

    def _take(self, entry: Entry) -> bool:
        if isinstance(entry, ClosedPeriod):
            return self._take_period(entry)
        if isinstance(entry, HeardRun):
            self._hear(entry.run, entry.heard_ns, 0)
            return True
        return self._take_property(entry)

    def _take_period(self, entry: ClosedPeriod) -> bool:
        period = entry.period
        last = LastPeriod(period.ordinal, period.step, period.end)
        if not self._closing.close((period.run, period.category), last):
            return False
        self._placed.append(_Placed(entry, self._next_position(period.run)))
        return True

    def _take_property(self, entry: NewProperty) -> bool:
        columns = (entry.run, entry.category, entry.type, json.dumps(entry.value))
        known = self._connection.execute(
            "SELECT 1 FROM properties WHERE (run, category, type, value) = (?, ?, ?, ?)", columns
        ).fetchone()
        if known:
            return False
        self._connection.execute(
            "INSERT INTO properties VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._next_position(entry.run), *columns, entry.session, entry.seq, self._now_ns),
        )
        return True

    def _next_position(self, run: str) -> int:
        self._position += 1
        self._hear(run, self._now_ns, self._position)
        return self._position

    def _hear(self, run: str, heard_ns: int, position: int) -> None:
        heard = self._heard.get(run)
        if heard is None:
            heard = self._heard[run] = _Heard(heard_ns)
        heard.last_ns, heard.position = max(heard.last_ns, heard_ns), max(heard.position, position)

    def _summaries(self) -> Iterator[tuple[object, ...]]:
        for placed in self._placed:
            for row in placed.entry.rows:
                placed.num_series += 1
                placed.has_full_dist = placed.has_full_dist or bool(row.full_dist)
                yield placed.position, *row


class _Heard:
    """When a run was heard of first and last, and its newest position."""

    def __init__(self, first_ns: int) -> None:
        self.first_ns = self.last_ns = first_ns
        self.position = 0


class _Placed:
    """A period with its position; its rows are counted while they are stored."""

    def __init__(self, entry: ClosedPeriod, position: int) -> None:
        self.entry, self.position = entry, position
        self.num_series = 0
        self.has_full_dist = False

    def columns(self, now_ns: int) -> tuple[object, ...]:
        """Return the row of the period, once its summaries are stored."""
        period = self.entry.period
        return (
            self.position, period.run, period.category, period.ordinal, period.id, period.start, period.end,
            period.step, period.workers_reporting, period.workers_expected, period.late, period.lost,
            period.uncertain, period.duplicates, json.dumps(period.missing), period.cause.value,
            self.entry.num_values, self.num_series, now_ns, self.has_full_dist,
        )  # fmt: skip
