"""Clock: the daemon's time, which never runs backwards. Nothing else reads a clock."""

from __future__ import annotations

import time


class Clock:
    """Nanoseconds since the epoch: the wall clock at the start, and the monotonic clock from there on.

    A wall clock that jumps while the daemon runs moves nothing; one that was set back between two runs holds
    the time at `not_before_ns` until it has caught up.
    """

    def __init__(self, not_before_ns: int = 0) -> None:
        self._offset_ns = max(time.time_ns(), not_before_ns) - time.monotonic_ns()

    def now_ns(self) -> int:
        """Return the time."""
        return time.monotonic_ns() + self._offset_ns

    def not_before(self, earliest_ns: int) -> None:
        """Never again say a time before `earliest_ns`."""
        self._offset_ns = max(self._offset_ns, earliest_ns - time.monotonic_ns())
