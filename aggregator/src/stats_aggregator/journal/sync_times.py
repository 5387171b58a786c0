"""SyncTimes: how long the journal's syncs took, counted by length."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

LIMITS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""The upper limits of the lengths that are told apart: a good disk is at the left end, a sick one right."""


class SyncTimes:
    """Counts by length: `num` syncs took `sum_s` seconds together, and the last of them `last_s`."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LIMITS_S) + 1)
        self.num = 0
        self.sum_s = self.last_s = 0.0

    def note(self, seconds: float) -> None:
        """Take in a sync."""
        self._counts[bisect_left(LIMITS_S, seconds)] += 1
        self.num += 1
        self.sum_s += seconds
        self.last_s = seconds

    def up_to(self) -> Iterator[tuple[float, int]]:
        """Yield each limit with the number of syncs that took no longer."""
        return zip(LIMITS_S, accumulate(self._counts), strict=False)
