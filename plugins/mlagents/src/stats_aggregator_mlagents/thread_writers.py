"""ThreadWriters: what `StatsReporter.writers` is to a plugin that is made for several runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, MutableSequence
from typing import Any


class ThreadWriters(MutableSequence[Any]):
    """A list of its own for each thread that began one; other threads see the newest.

    ML-Agents has one run in a process, and one list. Here each run of a plugin has a thread.
    """

    def __init__(self) -> None:
        self._here = threading.local()
        self._newest: list[Any] = []

    def begin(self, writers: Iterable[Any]) -> list[Any]:
        """Begin this thread's list with `writers`, and return it."""
        self._here.writers = self._newest = list(writers)
        return self._newest

    @property
    def _list(self) -> list[Any]:
        found: list[Any] = getattr(self._here, "writers", self._newest)
        return found

    def __getitem__(self, index: Any) -> Any:
        return self._list[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._list[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._list[index]

    def __len__(self) -> int:
        return len(self._list)

    def insert(self, index: int, value: Any) -> None:
        """Insert a writer into this thread's list."""
        self._list.insert(index, value)

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self._list, *other]

    def __repr__(self) -> str:
        return repr(self._list)


writers_here = ThreadWriters()
"""The writers of the run that this thread serves."""
