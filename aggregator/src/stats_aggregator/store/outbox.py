"""Outbox: how far each writer has come in each run, and what became of what it could not take.

It is kept in the store's file, by the daemon and by each writer's process; anybody may read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .database import Database


class WriterKey(NamedTuple):
    """A writer: its plugin, its run, and its place in the list that the plugin's registration returned."""

    plugin: str
    run: str
    place: int


class PluginRow(NamedTuple):
    """A plugin: `state` is starting, loaded, disabled, failed or set aside; `why` is of the last three."""

    plugin: str
    distribution: str
    version: str
    state: str
    why: str
    max_backlog: int
    max_backlog_age_ns: int
    replay: bool = False


class WriterState(NamedTuple):
    """A writer's state, and what it has still before it.

    "ok": it is called with each entry. "retrying": its last `failures` calls in a row failed, and it is
    called again at `retry_ns`. "not made": the same of its plugin's registration. "closed": its run ended.
    """

    plugin: str
    run: str
    place: int
    position: int
    class_name: str
    state: str
    delivered: int
    set_aside: int
    skipped: int
    last_error: str
    last_delivery_ns: int
    failures: int
    retry_ns: int
    backlog: int


class Skipped(NamedTuple):
    """Periods that a writer will not get, since too many were waiting or they waited too long."""

    key: WriterKey
    periods: int


_WRITER = "plugin = ? AND run = ? AND idx = ?"
_AFTER = "SELECT count(*) FROM {0} WHERE {0}.run = writers.run AND {0}.position > writers.position"
_BACKLOG = f"({_AFTER.format('periods')}) + ({_AFTER.format('properties')})"
_LEFT = """SELECT coalesce(sum(
    (SELECT count(*) FROM periods WHERE periods.run = runs.run AND periods.position > at)
    + (SELECT count(*) FROM properties WHERE properties.run = runs.run AND properties.position > at)), 0)
FROM (SELECT runs.run, coalesce(writers.position, plugins.start) AS at FROM plugins CROSS JOIN runs
      LEFT JOIN writers ON writers.plugin = plugins.plugin AND writers.run = runs.run WHERE active) AS runs"""
_BEHIND = """SELECT run FROM runs, plugins WHERE plugin = ? AND last_position > coalesce(
    (SELECT min(position) FROM writers WHERE writers.plugin = plugins.plugin AND writers.run = runs.run),
    start) ORDER BY run"""
# The newest period that is too old, or has too many after it.
_LIMIT = """SELECT max(position) FROM (
    SELECT max(position) AS position FROM periods
    WHERE run = :run AND position > :position AND stored_ns < :old
    UNION ALL SELECT * FROM (SELECT position FROM periods WHERE run = :run AND position > :position
                             ORDER BY position DESC LIMIT 1 OFFSET :max_backlog))"""


_ACTIVE = ("starting", "loaded")


class Outbox:
    """The cursors of all writers; they only move forward.

    Every call may raise StoreFull or StoreFailed, and has then changed nothing.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = clock

    def begin(self, plugins: Iterable[PluginRow], start: int) -> None:
        """Note which plugins there are now, before anything is stored that they would miss.

        One never seen before starts after position `start`, with `replay` with all that is stored. Plugins
        that neither start nor are loaded hold nothing back.
        """
        noted = self._rows()
        known = {row.plugin: (first, row) for first, row in noted}
        wanted = []
        for row in plugins:
            first, before = known.pop(row.plugin, (0 if row.replay else start, row))
            # What ran before is taken to run again until its process says otherwise.
            state = before.state if row.state in _ACTIVE and before.state in _ACTIVE else row.state
            wanted.append((first, row._replace(state=state, replay=False)))
        gone = [(first, row._replace(state="disabled", why="not installed")) for first, row in known.values()]
        # Where nothing is new nothing is written: a start on a full disk has more to say than this.
        changed = [each for each in (*wanted, *gone) if each not in noted]
        if changed:
            self._put(changed)

    def _rows(self) -> list[tuple[int, PluginRow]]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT start, plugin, distribution, version, state, why, max_backlog, max_backlog_age_ns "
                "FROM plugins ORDER BY plugin"
            ).fetchall()
        return [(start, PluginRow(*row)) for start, *row in rows]

    def _put(self, rows: Iterable[tuple[int, PluginRow]]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO plugins VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.plugin, start, row.state in _ACTIVE, row.state, row.why, row.distribution,
                        row.version, row.max_backlog, row.max_backlog_age_ns,
                    )
                    for start, row in rows
                ],
            )  # fmt: skip

    def note_plugin(self, plugin: str, state: str, why: str) -> None:
        """Note what became of a plugin that was starting."""
        self._database.write(
            "UPDATE plugins SET state = ?, why = ?, active = ? WHERE plugin = ?",
            (state, _text(why), state in _ACTIVE, plugin),
        )

    def behind(self, plugin: str) -> list[str]:
        """Return the runs that have something for the plugin's writers."""
        with self._database.reading() as connection:
            return [run for (run,) in connection.execute(_BEHIND, (plugin,))]

    def open_writer(self, key: WriterKey, class_name: str) -> None:
        """Note that the writer is there. A further writer of a plugin starts where its first one stands."""
        self._database.write(
            "INSERT INTO writers SELECT ?1, ?2, ?3, coalesce("
            "(SELECT position FROM writers WHERE plugin = ?1 AND run = ?2 AND idx = 0), "
            "(SELECT start FROM plugins WHERE plugin = ?1)), ?4, 'ok', 0, 0, 0, '', 0, 0, 0 WHERE true "
            "ON CONFLICT (plugin, run, idx) DO UPDATE "
            "SET class = ?4, state = 'ok', failures = 0, retry_ns = 0",
            (*key, class_name),
        )

    def position(self, key: WriterKey) -> int:
        """Return the position of the last entry that the writer is done with."""
        with self._database.reading() as connection:
            (position,) = connection.execute(f"SELECT position FROM writers WHERE {_WRITER}", key).fetchone()
        return int(position)

    def delivered(self, key: WriterKey, position: int) -> None:
        """Move the cursor past an entry that the writer took."""
        self._database.write(
            "UPDATE writers SET position = max(position, ?), delivered = delivered + 1, state = 'ok', "
            f"last_error = '', failures = 0, retry_ns = 0, last_delivery_ns = ? WHERE {_WRITER}",
            (position, self._clock(), *key),
        )

    def set_aside(self, key: WriterKey, position: int, what: str, error: str) -> None:
        """Move the cursor past an entry that the writer cannot take, and keep which it was and why."""
        # Two writes of one statement each: where the second does not come, the entry is tried again.
        self._database.write(
            "INSERT INTO set_aside SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS ("
            "SELECT 1 FROM set_aside WHERE (plugin, run, idx, position) = (?1, ?2, ?3, ?4))",
            (*key, position, _text(what), _text(error), self._clock()),
        )
        self._database.write(
            "UPDATE writers SET position = max(position, ?), set_aside = set_aside + 1, state = 'ok', "
            f"failures = 0, retry_ns = 0, last_error = ? WHERE {_WRITER}",
            (position, _text(error), *key),
        )

    def retries(
        self, key: WriterKey, failures: int, retry_ns: int, error: str, state: str = "retrying"
    ) -> None:
        """Note that `failures` calls in a row have failed, and when the next one is made."""
        self._database.write(
            f"UPDATE writers SET state = ?, failures = ?, retry_ns = ?, last_error = ? WHERE {_WRITER}",
            (state, failures, retry_ns, _text(error), *key),
        )

    def closed(self, key: WriterKey) -> None:
        """Note that the writer is closed."""
        self._database.write(f"UPDATE writers SET state = 'closed' WHERE {_WRITER}", key)

    def trim(self) -> list[Skipped]:
        """Move every cursor past the periods that are beyond its plugin's backlog, in number or age."""
        with self._database.reading() as connection:
            behind = connection.execute(
                "SELECT writers.plugin, writers.run, idx, position, max_backlog, max_backlog_age_ns "
                "FROM writers JOIN runs USING (run) JOIN plugins USING (plugin) "
                "WHERE active AND last_position > position"
            ).fetchall()
        found = (self._trim_one(WriterKey(*row[:3]), *row[3:]) for row in behind)
        return [skipped for skipped in found if skipped]

    def _trim_one(self, key: WriterKey, position: int, max_backlog: int, max_age_ns: int) -> Skipped | None:
        with self._database.transaction() as connection:
            bounds = {"run": key.run, "position": position, "max_backlog": max_backlog,
                      "old": self._clock() - max_age_ns}  # fmt: skip
            (limit,) = connection.execute(_LIMIT, bounds).fetchone()
            if limit is None:
                return None
            (periods,) = connection.execute(
                "SELECT count(*) FROM periods WHERE run = ? AND position > ? AND position <= ?",
                (key.run, position, limit),
            ).fetchone()
            connection.execute(
                f"UPDATE writers SET position = max(position, ?), skipped = skipped + ? WHERE {_WRITER}",
                (limit, periods, *key),
            )
        return Skipped(key, periods)

    def plugins(self) -> list[PluginRow]:
        """Return every plugin that was ever there, in the order of names."""
        return [row for _, row in self._rows()]

    def writer_states(self) -> list[WriterState]:
        """Return the state of every writer of every run, with the number of entries it has not taken yet."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT plugin, run, idx, position, class, state, delivered, set_aside, skipped, last_error, "
                f"last_delivery_ns, failures, retry_ns, {_BACKLOG} FROM writers ORDER BY plugin, run, idx"
            ).fetchall()
        return [WriterState(*row) for row in rows]

    def left(self) -> int:
        """Return how many entries the plugins that run have still before them, together.

        One that has made no writer for a run has all of the run before it since its start.
        """
        with self._database.reading() as connection:
            (left,) = connection.execute(_LEFT).fetchone()
        return int(left)


def _text(text: str) -> str:
    # An error's text may hold what is no text for SQLite, or be endless.
    return text[:2000].encode("utf-8", "backslashreplace").decode()
