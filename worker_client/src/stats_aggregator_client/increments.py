"""Increments: steps of a category that were counted and not cut yet."""

from __future__ import annotations

from .columns import HOT_LIMIT
from .wire import INT64_MAX

HOT_STEPS = 1 << 32
"""An increment below this needs no further look."""


class Increments(list[int]):
    """Takes increments of any thread by `append`, in the hot path without a lock."""

    __slots__ = ()

    def add(self, steps: int) -> None:
        """Append the slow way, and make one number of many."""
        if len(self) >= HOT_LIMIT:
            self.append(self.take())
        self.append(steps)

    def take(self) -> int:
        """Return the sum, at most what the wire can say, and begin anew."""
        taken = self[:]  # other threads append meanwhile: what was not looked at stays
        del self[: len(taken)]
        return min(sum(taken), INT64_MAX)
