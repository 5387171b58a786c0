"""Retention: what the store lets go of, and when."""

from __future__ import annotations

from collections.abc import Iterator

from .database import Database

_SERIES_AT_ONCE = 1024
"""Periods of so many series are changed in one transaction: a sync for each would be most of the work."""

# A writer holds a period until it has passed it, or the period is older than its plugin's longest backlog.
# A plugin without a row for the run has not begun with it. Plugins that did not load hold nothing.
_HELD = """EXISTS (
    SELECT 1 FROM plugins WHERE active AND periods.stored_ns >= :now_ns - max_backlog_age_ns
    AND periods.position > coalesce((SELECT min(position) FROM writers
        WHERE writers.plugin = plugins.plugin AND writers.run = periods.run), start))"""
# Nothing is known of the writers before the first of them has begun.
_RELEASABLE = f"""SELECT position, num_series FROM periods WHERE has_full_dist AND NOT {_HELD}
    AND EXISTS (SELECT 1 FROM plugins) ORDER BY position LIMIT :limit"""
_REMOVABLE = f"""SELECT position, num_series FROM periods WHERE stored_ns < :before_ns AND NOT {_HELD}
    ORDER BY stored_ns LIMIT :limit"""
_ENDED_RUNS = """SELECT run FROM runs WHERE closed AND touched_ns < :before_ns
    AND NOT EXISTS (SELECT 1 FROM periods WHERE periods.run = runs.run)
    AND EXISTS (SELECT 1 FROM properties WHERE properties.run = runs.run UNION ALL
                SELECT 1 FROM writers WHERE writers.run = runs.run) LIMIT :limit"""


class Retention:
    """Retained values go when every writer has passed; periods, and what else a run left, when they are old.

    Which ordinals are closed, and where each category stands, is never forgotten.
    """

    def __init__(self, database: Database, retention_s: float) -> None:
        self._database = database
        self._retention_ns = int(retention_s * 1e9)

    def tidy(self, now_ns: int, limit: int) -> int:
        """Take at most `limit` steps, in transactions so small that nobody waits long."""
        bounds = {"now_ns": now_ns, "before_ns": now_ns - self._retention_ns, "limit": limit}
        # Looked up before the writing begins: only that shuts out other processes.
        with self._database.reading() as connection:
            removable = connection.execute(_REMOVABLE, bounds).fetchall()
            releasable = connection.execute(_RELEASABLE, bounds).fetchall()
            ended = [row[0] for row in connection.execute(_ENDED_RUNS, bounds)]
        removable = removable[:limit]
        gone = {position for position, _ in removable}
        releasable = [found for found in releasable if found[0] not in gone][: limit - len(removable)]
        for positions in _parts(removable):
            self._remove(positions)
        for positions in _parts(releasable):
            self._release(positions)
        steps = len(removable) + len(releasable)
        for run in ended[: limit - steps]:
            self._forget(run)
            steps += 1
        return steps

    def _remove(self, positions: list[tuple[int]]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM summaries WHERE period = ?", positions)
            connection.executemany("DELETE FROM periods WHERE position = ?", positions)

    def _release(self, positions: list[tuple[int]]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("UPDATE summaries SET full_dist = x'' WHERE period = ?", positions)
            connection.executemany("UPDATE periods SET has_full_dist = 0 WHERE position = ?", positions)

    def _forget(self, run: str) -> None:
        with self._database.transaction() as connection:
            for table in ("properties", "writers", "set_aside"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))


def _parts(found: list[tuple[int, int]]) -> Iterator[list[tuple[int]]]:
    """Yield the positions of periods, each with its number of series, in parts for a transaction each."""
    part: list[tuple[int]] = []
    num_series = 0
    for position, series in found:
        if part and num_series + series > _SERIES_AT_ONCE:
            yield part
            part, num_series = [], 0
        part.append((position,))
        num_series += max(series, 1)
    if part:
        yield part
