"""Database: the SQLite file of the store, its schema, and its transactions."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import NO_ROOM, StoreBusy, StoreFailed, StoreFull

APPLICATION_ID = 0x53746174
"""Says in the file's header whose it is ("Stat")."""
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 5.0
_CLOSE_WITHIN_S = 0.5
_CACHE_KIB = 16_384
_PAGE_BYTES = 16_384
"""Of a new file. A series of 100 values is 2 kB: of SQLite's own pages, 4 kB, each would leave half empty."""
_PROBE_BYTES = 65_536

# One counter, `positions`, orders periods and properties together: the outbox. Times are nanoseconds since
# the epoch. NaN is NULL. `missing` is a JSON array of names. New columns come last in their table, as ALTER
# TABLE puts them.
_SCHEMA = """
-- Whose store it is: the server-id of the data directory.
CREATE TABLE owner (server_id BLOB NOT NULL);

CREATE TABLE positions (last INTEGER NOT NULL);
INSERT INTO positions VALUES (0);

CREATE TABLE runs (
    run TEXT PRIMARY KEY, started_ns INTEGER NOT NULL, touched_ns INTEGER NOT NULL,
    closed INTEGER NOT NULL, last_position INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE periods (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL, category TEXT NOT NULL, ordinal INTEGER NOT NULL,
    id TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, step INTEGER NOT NULL,
    workers_reporting INTEGER NOT NULL, workers_expected INTEGER NOT NULL, late INTEGER NOT NULL,
    lost INTEGER NOT NULL, uncertain INTEGER NOT NULL, duplicates INTEGER NOT NULL,
    num_values INTEGER NOT NULL, num_series INTEGER NOT NULL, stored_ns INTEGER NOT NULL,
    has_full_dist INTEGER NOT NULL, missing TEXT NOT NULL DEFAULT '[]', cause TEXT NOT NULL DEFAULT ''
);
CREATE INDEX periods_of_run ON periods (run, position);
CREATE INDEX periods_by_time ON periods (stored_ns);
CREATE INDEX periods_with_full_dist ON periods (position) WHERE has_full_dist;

CREATE TABLE summaries (
    period INTEGER NOT NULL, key TEXT NOT NULL, aggregation INTEGER NOT NULL, num INTEGER NOT NULL,
    mean REAL, std REAL, sum REAL, min REAL, max REAL, last REAL, num_nan INTEGER NOT NULL,
    num_inf INTEGER NOT NULL, min_worker TEXT NOT NULL, max_worker TEXT NOT NULL, exact INTEGER NOT NULL,
    mantissa_bits INTEGER NOT NULL, bucket_keys BLOB NOT NULL, bucket_counts BLOB NOT NULL,
    full_dist BLOB NOT NULL
);
CREATE INDEX summaries_of_period ON summaries (period);

CREATE TABLE properties (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL, category TEXT NOT NULL, type TEXT NOT NULL,
    value TEXT NOT NULL, session BLOB NOT NULL, seq INTEGER NOT NULL, stored_ns INTEGER NOT NULL,
    UNIQUE (run, category, type, value)
);
CREATE INDEX properties_of_run ON properties (run, position);

-- Ranges of ordinals, both ends included, and the newest period of each category. Never pruned.
CREATE TABLE closed (
    run TEXT NOT NULL, category TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (run, category, first)
) WITHOUT ROWID;
CREATE TABLE categories (
    run TEXT NOT NULL, category TEXT NOT NULL, ordinal INTEGER NOT NULL, step INTEGER NOT NULL,
    end_ns INTEGER NOT NULL, PRIMARY KEY (run, category)
) WITHOUT ROWID;

-- `start` is the position after which a plugin's writers get what is stored.
CREATE TABLE plugins (
    plugin TEXT PRIMARY KEY, start INTEGER NOT NULL, active INTEGER NOT NULL, state TEXT NOT NULL,
    why TEXT NOT NULL, distribution TEXT NOT NULL, version TEXT NOT NULL, max_backlog INTEGER NOT NULL,
    max_backlog_age_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE writers (
    plugin TEXT NOT NULL, run TEXT NOT NULL, idx INTEGER NOT NULL, position INTEGER NOT NULL,
    class TEXT NOT NULL, state TEXT NOT NULL, delivered INTEGER NOT NULL, set_aside INTEGER NOT NULL,
    skipped INTEGER NOT NULL, last_error TEXT NOT NULL, last_delivery_ns INTEGER NOT NULL,
    failures INTEGER NOT NULL, retry_ns INTEGER NOT NULL,
    PRIMARY KEY (plugin, run, idx)
) WITHOUT ROWID;
CREATE TABLE set_aside (
    plugin TEXT NOT NULL, run TEXT NOT NULL, idx INTEGER NOT NULL, position INTEGER NOT NULL,
    what TEXT NOT NULL, error TEXT NOT NULL, set_aside_ns INTEGER NOT NULL
);
"""

_MIGRATIONS: Mapping[int, Sequence[str]] = {
    1: (
        "ALTER TABLE periods ADD COLUMN missing TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE periods ADD COLUMN cause TEXT NOT NULL DEFAULT ''",
    ),
}
"""What makes the schema of each earlier version that of the next one."""


class Database:
    """One connection to the store's file, made on first use of the path; a lock lets in a thread at a time.

    A file of an earlier schema is brought to this one at opening, in one transaction; one that is opened
    read-only stays as it is.

    Write-ahead logging, so other processes read while one writes. Raises StoreFull where the disk is full,
    StoreBusy where another program holds its lock, else StoreFailed. What failed has changed nothing.
    """

    def __init__(self, path: Path, *, power_safe: bool = True, read_only: bool = False) -> None:
        """Open `path`; `power_safe` syncs each commit, otherwise only the process may die.

        With `read_only` it is there already, and nothing is ever written.
        """
        self.path = path
        self._lock = threading.RLock()
        where = f"{path.absolute().as_uri()}?mode=ro" if read_only else path
        with self._translated():
            self._connection = sqlite3.connect(
                where, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=read_only
            )
        try:
            if read_only:
                self._look()
            else:
                self._prepare(power_safe)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, power_safe: bool) -> None:
        with self._translated():
            self._check()
            # A file that is there keeps its own; in WAL none can be changed.
            self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            version = self._pragma("user_version")
            if version == 0:
                self._create()
            elif version < SCHEMA_VERSION:
                self._migrate()

    def _look(self) -> None:
        with self._translated():
            self._check()
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def _check(self) -> None:
        # Before anything is written: a file that is not ours stays as it is.
        version, application = self._pragma("user_version"), self._pragma("application_id")
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (tables or version or application):
            raise StoreFailed(
                self.path, "is a database of another program; move it away, or choose another --data-dir"
            )
        if version > SCHEMA_VERSION:
            raise StoreFailed(
                self.path,
                f"has schema {version}, and this version knows up to {SCHEMA_VERSION}; "
                "install the stats-aggregator that wrote it, or choose another --data-dir",
            )

    def _create(self) -> None:
        with self.transaction() as connection:
            if self._pragma("user_version") == 0:  # another process may have been first
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _migrate(self) -> None:
        with self.transaction() as connection:
            # Read again: another process may have been first.
            for version in range(self._pragma("user_version"), SCHEMA_VERSION):
                for statement in _MIGRATIONS[version]:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _pragma(self, name: str) -> int:
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write: all of the block is stored, or nothing of it."""
        with self._within("BEGIN IMMEDIATE") as connection:
            yield connection

    def write(self, statement: str, arguments: tuple[object, ...]) -> None:
        """Write by one statement, which takes SQLite's lock and gives it back within one call.

        So no other thread of this process can come between, not even one that keeps the interpreter's lock.
        """
        with self._lock, self._translated():
            self._connection.execute(statement, arguments)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read: the block sees one state of the store."""
        with self._within("BEGIN") as connection:
            yield connection

    @contextmanager
    def _within(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "is full" in text:
                raise StoreFull(self.path) from error
            if "is locked" in text:
                raise StoreBusy(self.path) from error
            if ("disk I/O error" in text or "unable to open" in text) and lacks_room(self.path.parent):
                # Of its helper files' troubles, and of a quota, SQLite does not say more.
                raise StoreFull(self.path) from error
            if "not a database" in text or "malformed" in text:
                text += "; put back a sound one, or move it away (nothing was deleted) and see --accept-loss"
            elif "unable to open" in text or "readonly" in text:
                text += "; let the daemon's user write it and its directory"
            raise StoreFailed(self.path, text) from error

    def close(self) -> None:
        """Close the connection; closing twice is fine.

        One that is in a call, and waits there for another program, is left to the end of the process.
        """
        if self._lock.acquire(timeout=_CLOSE_WITHIN_S):
            try:
                self._connection.close()
            finally:
                self._lock.release()


def lacks_room(directory: Path) -> bool:
    """Return whether a small file cannot be written in `directory` for want of room."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
    except OSError as error:
        return error.errno in NO_ROOM
    return False
