"""Steps: a category's periods, where each is one step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from .clock import stopwatch_ns

BURST_PERIODS = 400
EACH_NS = 25_000_000
"""A category ends 40 periods a second in the long run, and `BURST_PERIODS` at once: a daemon stores each."""


class Steps:
    """Ends a category's period when the step moves that its values are of.

    So all values of one step make one point. Those who add the values say `reach` before each. The last step
    ends where the client closes. Where steps come faster than a daemon should have to store a period, one
    period has several, and ends with the last of them.
    """

    __slots__ = ("_due_ns", "_lock", "_now_ns", "_rewind", "_write", "at", "is_open", "left")

    def __init__(
        self,
        write: Callable[[int], None],
        rewind: Callable[[int], None],
        lock: AbstractContextManager[Any],
        now_ns: Callable[[], int] = stopwatch_ns,
    ) -> None:
        """End periods by `write`, under the `lock` under which values are cut."""
        self._write, self._rewind, self._lock, self._now_ns = write, rewind, lock, now_ns
        self._due_ns = 0
        self.at: int | None = None
        """The step that values are of, where any is known."""
        self.is_open = False
        """Whether values may have come since the last WRITE."""
        self.left: Any = None
        """What somebody who is done with the category left for who comes next."""

    def reach(self, step: int) -> bool:
        """Let the values that follow be of `step`; return False where it shares the period of the one before.

        A step that is no later than the one at hand is no other.
        """
        with self._lock:
            ended = True
            if self.at is None or step > self.at:
                ended = self.end()
                self.at = step
            self.is_open = True
            return ended

    def end(self, *, is_last: bool = False) -> bool:
        """End the period of the step, if it has begun; what still comes at this step begins another.

        Where that would be too soon, the period goes on, unless it `is_last`. Return whether it does not.
        """
        with self._lock:
            if not self.is_open or self.at is None:
                return True
            now_ns = self._now_ns()
            if self._due_ns > now_ns and not is_last:
                return False
            rested_ns = now_ns - (BURST_PERIODS - 1) * EACH_NS
            self._due_ns = max(self._due_ns, rested_ns) + EACH_NS
            self.is_open = False
            self._write(self.at)
            return True

    def rewind(self, step: int) -> None:
        """End the period of the step, and go back to `step`."""
        with self._lock:
            self.end(is_last=True)
            self.at = None
            self._rewind(step)
