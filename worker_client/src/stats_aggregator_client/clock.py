"""The one clock of the client: monotonic, and how far the daemon's time is ahead of it."""

from __future__ import annotations

import time
from collections.abc import Callable

stopwatch_ns = time.perf_counter_ns
"""For how long something took: the finest clock, comparable within this process alone."""
_DRIFT = 2000
"""Clocks of hosts drift apart by less than one part in so many."""


class Clock:
    """Counts monotonic nanoseconds and knows the daemon's time.

    Every answer of the daemon bounds the offset: its time was read after we sent and before we received. The
    estimate starts in the middle of the first such interval and is pulled into each further one, so it
    follows drift and is never off by more than the latest round trip. Before the first answer it is this
    host's own wall clock.

    That a time was read before the answer came holds of every daemon; an old one may send a time that it
    read before the frame came. So lower bounds are kept, for as long as drift allows: no upper bound that
    is below them counts.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.now = monotonic_ns
        self.offset_ns = wall_ns() - monotonic_ns()
        """How far the daemon's time is ahead, as estimated."""
        self.is_told = False
        """Whether the estimate is of the daemon that answers now."""
        self._least_ns = self._bounded_at = 0

    def forget(self) -> None:
        """Keep the estimate until the next answer, which comes from another daemon, begins another."""
        self.is_told = False

    def observe(self, sent_ns: int | None, received_ns: int, daemon_ns: int, *, begins: bool = False) -> None:
        """Take the daemon's time from a message that answers what was sent at `sent_ns`, or nothing.

        `begins` says that the daemon may have been started again since the last message: its clock may be set
        otherwise.
        """
        least = daemon_ns - received_ns
        most = least if sent_ns is None else daemon_ns - sent_ns
        if self.is_told and not begins:
            drift = (received_ns - self._bounded_at) // _DRIFT
            least = max(least, self._least_ns - drift)
            most = max(most, least)
        self._least_ns, self._bounded_at = least, received_ns
        if sent_ns is None:
            self.offset_ns = max(self.offset_ns, least)
        elif not self.is_told:
            self.offset_ns = (least + most) // 2
            self.is_told = True
        else:
            self.offset_ns = min(max(self.offset_ns, least), most)

    def daemon_ns(self, monotonic_ns: int) -> int:
        """Return the daemon's time at a monotonic time."""
        return monotonic_ns + self.offset_ns

    def monotonic_ns(self, daemon_ns: int) -> int:
        """Return the monotonic time at a time of the daemon's."""
        return daemon_ns - self.offset_ns
