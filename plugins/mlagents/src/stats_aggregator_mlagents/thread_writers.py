"""ThreadWriters: what `StatsReporter.writers` is to a plugin that is made for several runs."""

from __future__ import annotations

import threading
from collections import UserList
from collections.abc import Iterable
from typing import Any


class ThreadWriters(UserList[Any]):
    """A list of its own for each thread that began one; other threads see the newest.

    ML-Agents has one run in a process, and one list. Here each run of a plugin has a thread.
    """

    def __init__(self) -> None:
        self._here = threading.local()
        self._newest: list[Any] = []

    @property
    def data(self) -> list[Any]:
        """The list of this thread, which UserList's methods work on."""
        found: list[Any] = getattr(self._here, "writers", self._newest)
        return found

    @data.setter
    def data(self, writers: list[Any]) -> None:
        self.begin(writers)

    def begin(self, writers: Iterable[Any]) -> list[Any]:
        """Begin this thread's list with `writers`, and return it."""
        self._here.writers = self._newest = list(writers)
        return self._newest


writers_here = ThreadWriters()
"""The writers of the run that this thread serves."""
