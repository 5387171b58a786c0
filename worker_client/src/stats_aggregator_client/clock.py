"""The one clock of the client: monotonic, and how far the daemon's time is ahead of it."""

from __future__ import annotations

import time
from collections.abc import Callable

stopwatch_ns = time.perf_counter_ns
"""For how long something took: the finest clock, comparable within this process alone."""


class Clock:
    """Counts monotonic nanoseconds and knows the daemon's time.

    Every answer of the daemon bounds the offset: its time was read after we sent and before we received. The
    estimate starts in the middle of the first such interval and is pulled into each further one, so it
    follows drift and is never off by more than the latest round trip. Before the first answer it is this
    host's own wall clock.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.now = monotonic_ns
        self._wall_ns = wall_ns
        self.forget()

    def forget(self) -> None:
        """Go back to this host's wall clock: the next answer comes from another daemon."""
        self._offset_ns = self._wall_ns() - self.now()
        self._told = False

    def observe(self, sent_ns: int | None, received_ns: int, daemon_ns: int) -> None:
        """Take the daemon's time from a message that answers what was sent at `sent_ns`, or nothing."""
        least = daemon_ns - received_ns
        most = least if sent_ns is None else daemon_ns - sent_ns
        if sent_ns is None:
            self._offset_ns = max(self._offset_ns, least)
        elif not self._told:
            self._offset_ns = (least + most) // 2
            self._told = True
        else:
            self._offset_ns = min(max(self._offset_ns, least), most)

    def daemon_ns(self, monotonic_ns: int) -> int:
        """Return the daemon's time at a monotonic time."""
        return monotonic_ns + self._offset_ns

    def monotonic_ns(self, daemon_ns: int) -> int:
        """Return the monotonic time at a time of the daemon's."""
        return daemon_ns - self._offset_ns
