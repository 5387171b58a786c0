"""Store: the truth of what goes out, periods and properties in the order in which they were stored.

The daemon's process writes them; those of the writers read them, and keep in the same file how far each
writer has come (outbox.py). Any SQLite tool may read it meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stats_aggregator_api import Cause, Period, PeriodSummaries

from .. import failpoints
from . import ordinals
from .database import Database
from .ordinals import ClosedOrdinals, LastPeriod
from .retention import Retention
from .stored import (
    RunRow,
    StoredPeriod,
    StoredProperty,
    SummaryRow,
    summary_of,
)

__all__ = [
    "Store",
    "SummaryRow",
    "StoredPeriod",
    "StoredProperty",
    "RunRow",
    "LastPeriod",
    "ClosedOrdinals",
    "period_id",
]

RETENTION_S = 30 * 86_400.0
_PERIOD_COLUMNS = (
    "run, category, ordinal, id, start_ns, end_ns, step, workers_reporting, workers_expected, late, lost, "
    "uncertain, duplicates, missing, cause"
)
_INSERT_SUMMARY = f"INSERT INTO summaries VALUES ({', '.join('?' * (1 + len(SummaryRow._fields)))})"
_SELECT_SUMMARIES = f"SELECT {', '.join(SummaryRow._fields)} FROM summaries WHERE period = ? ORDER BY rowid"


def period_id(server_id: bytes, run: str, category: str, ordinal: int) -> str:
    """Return the id of a period, 32 hexadecimal digits: a hash of daemon, run, category and ordinal."""
    digest = hashlib.sha256()
    for part in (server_id, run.encode(), category.encode(), str(ordinal).encode()):
        # With its length before each part, no two sets of parts read the same.
        digest.update(len(part).to_bytes(4, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


class _Counted:
    """Rows on their way into a period: how many there are, and whether one has retained values."""

    def __init__(self, position: int, rows: Iterable[SummaryRow]) -> None:
        self._position, self._rows = position, rows
        self.num_series = 0
        self.has_full_dist = False

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        for row in self._rows:
            self.num_series += 1
            self.has_full_dist = self.has_full_dist or bool(row.full_dist)
            yield self._position, *row


class Store:
    """Periods and properties, and which periods are closed.

    A call from any thread is fine; each takes the one connection for itself. Every call may raise StoreFull
    (wait, and call again) or StoreFailed, and has then changed nothing.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: str = "full",
        retention_s: float = RETENTION_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the store at `path`, and make it where there is none.

        With `durability` "full" all that is stored survives a power loss, with "process" and "none" the death
        of the process. Periods are kept for `retention_s`. `clock` gives nanoseconds since the epoch.
        """
        self.database = Database(path, power_safe=durability == "full")
        self.clock = clock
        self._retention = Retention(self.database, retention_s)

    def close_period(self, period: Period, num_values: int, rows: Iterable[SummaryRow]) -> bool:
        """Store a closed period in one transaction; False, and nothing changed, where it is stored already.

        `num_values` counts the raw values that came, NaN and infinities among them.
        """
        name = (period.run, period.category)
        with self.database.transaction() as connection:
            if ordinals.is_closed(connection, *name, period.ordinal):
                return False
            now_ns = self.clock()
            position = _next_position(connection, period.run, now_ns)
            counted = _Counted(position, rows)
            connection.executemany(_INSERT_SUMMARY, counted)
            connection.execute(
                f"INSERT INTO periods (position, {_PERIOD_COLUMNS}, num_values, num_series, stored_ns, "
                f"has_full_dist) VALUES ({', '.join('?' * 20)})",
                (
                    position, *name, period.ordinal, period.id, period.start, period.end, period.step,
                    period.workers_reporting, period.workers_expected, period.late, period.lost,
                    period.uncertain, period.duplicates, json.dumps(period.missing), period.cause.value,
                    num_values, counted.num_series, now_ns, counted.has_full_dist,
                ),
            )  # fmt: skip
            ordinals.mark_closed(connection, *name, period.ordinal, period.step, period.end)
            failpoints.reach("store.commit.before")
        failpoints.reach("store.commit.after")
        return True

    def add_property(
        self,
        run: str,
        category: str,
        property_type: str,
        value: object,
        session: bytes,
        seq: int,
    ) -> bool:
        """Store a property once; False where the category has the same one already.

        So a property that comes again is harmless, be it from a replay or from each of many workers.
        `session` and `seq` tell who said it first. `value` is made of plain JSON types, else TypeError.
        """
        text = json.dumps(value)
        with self.database.transaction() as connection:
            known = connection.execute(
                "SELECT 1 FROM properties WHERE (run, category, type, value) = (?, ?, ?, ?)",
                (run, category, property_type, text),
            ).fetchone()
            if known:
                return False
            now_ns = self.clock()
            position = _next_position(connection, run, now_ns)
            connection.execute(
                "INSERT INTO properties VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (position, run, category, property_type, text, session, seq, now_ns),
            )
        return True

    def touch_run(self, run: str, now_ns: int) -> None:
        """Note that `run` was heard of; its writers are made, and it is open."""
        with self.database.transaction() as connection:
            _touch(connection, run, now_ns, 0)

    def close_run(self, run: str) -> None:
        """Note that `run` has ended: its writers close when they have all of it. New data opens it again."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE runs SET closed = 1 WHERE run = ?", (run,))

    def runs(self) -> list[RunRow]:
        """Return all runs that were ever heard of, in the order of their names."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT run, started_ns, touched_ns, closed, last_position FROM runs ORDER BY run"
            ).fetchall()
        return [RunRow(*row) for row in rows]

    def is_closed(self, run: str, category: str, ordinal: int) -> bool:
        """Return whether the period is stored, or was before it was pruned."""
        with self.database.reading() as connection:
            return ordinals.is_closed(connection, run, category, ordinal)

    def closed_ordinals(self) -> Mapping[tuple[str, str], ClosedOrdinals]:
        """Return the closed ordinals of every (run, category)."""
        with self.database.reading() as connection:
            return ordinals.closed(connection)

    def give_up(self, run: str, category: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Note ranges of ordinals, both ends included, whose periods are gone for good."""
        with self.database.transaction() as connection:
            for first, last in ranges:
                ordinals.give_up(connection, run, category, first, last)

    def last_period(self, run: str, category: str) -> LastPeriod | None:
        """Return the newest closed period of a category, also when it has been pruned."""
        with self.database.reading() as connection:
            return ordinals.last_period(connection, run, category)

    def end(self) -> int:
        """Return the position of the newest entry of all runs; 0 where nothing is stored."""
        with self.database.reading() as connection:
            (position,) = connection.execute("SELECT last FROM positions").fetchone()
        return int(position)

    def next_entry(self, run: str, position: int) -> StoredPeriod | StoredProperty | None:
        """Return the run's first entry after `position`, or None where that was the last."""
        with self.database.reading() as connection:
            found = connection.execute(
                "SELECT 0, min(position) FROM periods WHERE run = ?1 AND position > ?2 UNION ALL "
                "SELECT 1, min(position) FROM properties WHERE run = ?1 AND position > ?2",
                (run, position),
            ).fetchall()
            after = [(at, is_property) for is_property, at in found if at is not None]
            if not after:
                return None
            at, is_property = min(after)
            if is_property:
                return _properties(connection, "position = ?", (at,))[0]
            return _period(connection, at)

    def properties_until(self, run: str, position: int, limit: int = 1000) -> list[StoredProperty]:
        """Return the run's newest `limit` properties up to `position`, oldest first."""
        with self.database.reading() as connection:
            newest = _properties(
                connection,
                "run = ? AND position <= ? ORDER BY position DESC LIMIT ?",
                (run, position, limit),
            )
        return newest[::-1]

    def tidy(self, limit: int = 200) -> int:
        """Give back room in at most `limit` small steps, and return how many there were.

        A step empties `full_dist` of a period that every writer has passed, or removes one past its time.
        """
        return self._retention.tidy(self.clock(), limit)

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self.database.close()


def _next_position(connection: sqlite3.Connection, run: str, now_ns: int) -> int:
    connection.execute("UPDATE positions SET last = last + 1")
    (position,) = connection.execute("SELECT last FROM positions").fetchone()
    _touch(connection, run, now_ns, position)
    return int(position)


def _touch(connection: sqlite3.Connection, run: str, now_ns: int, position: int) -> None:
    connection.execute(
        "INSERT INTO runs VALUES (?1, ?2, ?2, 0, ?3) ON CONFLICT (run) DO UPDATE SET closed = 0, "
        "touched_ns = max(touched_ns, ?2), last_position = max(last_position, ?3)",
        (run, now_ns, position),
    )


def _period(connection: sqlite3.Connection, position: int) -> StoredPeriod:
    *columns, missing, cause, num_values, stored_ns = connection.execute(
        f"SELECT {_PERIOD_COLUMNS}, num_values, stored_ns FROM periods WHERE position = ?", (position,)
    ).fetchone()
    rows = map(SummaryRow._make, connection.execute(_SELECT_SUMMARIES, (position,)))
    period = replace(Period(*columns), missing=tuple(json.loads(missing)), cause=Cause(cause))
    summaries = PeriodSummaries(period, {row.key: summary_of(row) for row in rows})
    return StoredPeriod(position, summaries, num_values, stored_ns)


def _properties(
    connection: sqlite3.Connection, where: str, arguments: tuple[object, ...]
) -> list[StoredProperty]:
    rows = connection.execute(
        f"SELECT position, category, type, value FROM properties WHERE {where}", arguments
    ).fetchall()
    return [
        StoredProperty(position, category, kind, json.loads(value))
        for position, category, kind, value in rows
    ]
