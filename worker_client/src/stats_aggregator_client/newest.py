"""Newest: the newest values of a series, in memory that is used again."""

from __future__ import annotations

from array import array


class Newest:
    """A ring that grows until it is full, and then neither moves what stays nor asks for memory."""

    __slots__ = ("_begin", "_limit", "_ring")

    def __init__(self) -> None:
        self._ring: array[float] = array("d")
        self._begin = 0
        """Where the oldest value stands: in front until the ring is full."""
        self._limit = 0

    def __len__(self) -> int:
        return len(self._ring)

    def keep(self, values: array[float], limit: int) -> None:
        """Take `values` in; of all, at least the newest `limit` stay, and at most a quarter more."""
        self.trim(limit)
        room = self._limit - len(self._ring)
        if len(values) <= room:
            self._ring.extend(values)
            return
        if room:
            self._ring.extend(values[:room])
        size = len(self._ring)
        newest = memoryview(values)[room:][-size:]
        until_end = size - self._begin
        with memoryview(self._ring) as ring:
            ring[self._begin : self._begin + len(newest)] = newest[:until_end]
            ring[: len(newest[until_end:])] = newest[until_end:]
        self._begin = (self._begin + len(newest)) % size

    def trim(self, limit: int) -> None:
        """Let at least the newest `limit` stay, and at most a quarter more."""
        if limit <= self._limit <= limit + limit // 4:
            return  # not at each change of the limit: to trim moves all that stays
        if self._begin or len(self._ring) > limit:
            self._ring, self._begin = self.in_order()[-limit:], 0
        self._limit = limit

    def in_order(self) -> array[float]:
        """Return the values, oldest first."""
        return self._ring[self._begin :] + self._ring[: self._begin]

    def clear(self) -> None:
        """Forget all."""
        self._ring, self._begin = array("d"), 0
