"""Store: the truth of what goes out, periods and properties in the order in which they were stored.

The daemon's process writes them; those of the writers read them, and keep in the same file how far each
writer has come (outbox.py). Any SQLite tool may read it meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from stats_aggregator_api import Cause, Period, PeriodSummaries

from .. import failpoints
from . import ordinals
from .database import Database
from .ordinals import ClosedOrdinals, LastPeriod
from .retention import Retention
from .stored import (
    ClosedPeriod,
    Entry,
    HeardRun,
    NewProperty,
    RunRow,
    StoredPeriod,
    StoredProperty,
    SummaryRow,
    summary_of,
)
from .storing import PERIOD_COLUMNS, Storing

__all__ = [
    "Store",
    "Entry",
    "ClosedPeriod",
    "NewProperty",
    "HeardRun",
    "SummaryRow",
    "StoredPeriod",
    "StoredProperty",
    "RunRow",
    "LastPeriod",
    "ClosedOrdinals",
    "period_id",
]

RETENTION_S = 30 * 86_400.0
_SELECT_SUMMARIES = f"SELECT {', '.join(SummaryRow._fields)} FROM summaries WHERE period = ? ORDER BY rowid"


def period_id(server_id: bytes, run: str, category: str, ordinal: int) -> str:
    """Return the id of a period, 32 hexadecimal digits: a hash of daemon, run, category and ordinal."""
    digest = hashlib.sha256()
    for part in (server_id, run.encode(), category.encode(), str(ordinal).encode()):
        # With its length before each part, no two sets of parts read the same.
        digest.update(len(part).to_bytes(4, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


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

    def store(self, entries: Iterable[Entry]) -> list[bool]:
        """Store periods, properties and runs in one transaction, all or nothing, in this order.

        Returns of each whether it was new: a period that is stored already changes nothing, nor does a
        property that its category has, be it from a replay or from each of many workers. A property's value
        that is not made of plain JSON types is a TypeError.
        """
        with self.database.transaction() as connection:
            storing = Storing(connection, self.clock())
            found = storing.store(entries)
            if storing.num_periods:
                failpoints.reach("store.commit.before")
        if storing.num_periods:
            failpoints.reach("store.commit.after")
        return found

    def close_period(self, period: Period, num_values: int, rows: Iterable[SummaryRow]) -> bool:
        """Store one period; False, and nothing changed, where it is stored already."""
        return self.store([ClosedPeriod(period, num_values, rows)])[0]

    def add_property(
        self,
        run: str,
        category: str,
        property_type: str,
        value: object,
        session: bytes,
        seq: int,
    ) -> bool:
        """Store one property; False where the category has the same one already."""
        return self.store([NewProperty(run, category, property_type, value, session, seq)])[0]

    def touch_run(self, run: str, now_ns: int) -> None:
        """Note that `run` was heard of; its writers are made, and it is open."""
        self.store([HeardRun(run, now_ns)])

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


def _period(connection: sqlite3.Connection, position: int) -> StoredPeriod:
    *columns, missing, cause, num_values, stored_ns = connection.execute(
        f"SELECT {PERIOD_COLUMNS}, num_values, stored_ns FROM periods WHERE position = ?", (position,)
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
