"""History: what all categories of a client keep for `get_stats_summaries`, within bounded memory."""

from __future__ import annotations

from .columns import Column, Columns

MAX_HISTORY = 65_536
"""So many values a series keeps, if the client has not too many series."""
VALUES_PER_BUFFER_BYTE = 1 / 16
"""All series together keep half as many bytes as the buffer may hold."""


class History:
    """Shares out so many values among all series; the newest of each stay."""

    def __init__(self, buffer_bytes: int) -> None:
        self._values = int(buffer_bytes * VALUES_PER_BUFFER_BYTE)
        self._all: list[Columns] = []

    def add(self, columns: Columns) -> None:
        """Let a category have its share."""
        self._all.append(columns)

    def limit(self) -> int:
        """Return how many values a series keeps."""
        series = sum([len(columns.all) for columns in self._all])
        return max(1, min(MAX_HISTORY, self._values // max(series, 1)))

    def keep(self, column: Column, limit: int) -> None:
        """Take in what a column is cut of."""
        column.history.keep(column.cold, limit)

    def trim(self, columns: Columns) -> None:
        """Let series that have become more keep less each."""
        limit = self.limit()
        for column in columns.all:
            column.history.trim(limit)
