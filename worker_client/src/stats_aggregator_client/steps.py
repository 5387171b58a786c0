"""Steps: a category's periods, where each is one step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Steps:
    """Ends a category's period when the step moves that its values are of.

    So all values of one step make one point. The last step ends with `end`, or when the client closes. Those
    who add the values say `reach` before each.
    """

    __slots__ = ("_lock", "_rewind", "_write", "at", "is_open")

    def __init__(
        self,
        write: Callable[[int], None],
        rewind: Callable[[int], None],
        lock: AbstractContextManager[Any],
    ) -> None:
        """End periods by `write`, under the `lock` under which values are cut."""
        self._write, self._rewind, self._lock = write, rewind, lock
        self.at: int | None = None
        """The step that values are of, where any is known."""
        self.is_open = False
        """Whether values may have come since the last WRITE."""

    def reach(self, step: int) -> None:
        """Let the values that follow be of `step`; one that is no later is no other."""
        with self._lock:
            if self.at is None or step > self.at:
                self.end()
                self.at = step
            self.is_open = True

    def end(self) -> None:
        """End the period of the step, if it has begun; what still comes at this step begins another."""
        with self._lock:
            if self.is_open and self.at is not None:
                self.is_open = False
                self._write(self.at)

    def rewind(self, step: int) -> None:
        """End the period of the step, and go back to `step`."""
        with self._lock:
            self.end()
            self.at = None
            self._rewind(step)
