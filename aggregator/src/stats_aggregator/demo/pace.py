"""Pace: spreads episodes evenly over time, until it is told to stop."""

from __future__ import annotations

import time
from types import FrameType

from ..clock import Clock


class Pace:
    """At most so many episodes a second, as from an environment that is no toy."""

    def __init__(self, episodes_per_s: float, clock: Clock) -> None:
        self._interval_ns = int(1e9 / episodes_per_s)
        self._clock = clock
        self._next_ns = clock.now_ns()
        self.stopped = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Stop: a signal handler."""
        self.stopped = True

    def wait(self) -> None:
        """Wait until the next episode may begin; not at all once stopped."""
        wait_ns = self._next_ns - self._clock.now_ns()
        if wait_ns > 0 and not self.stopped:
            time.sleep(wait_ns / 1e9)
        # What is behind does not catch up: a burst would be no pace.
        self._next_ns += max(self._interval_ns, -wait_ns)
