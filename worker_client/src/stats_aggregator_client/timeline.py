"""Timeline: stamps for what is cut. In which window a stamp is, is decided when it is given, once."""

from __future__ import annotations

from collections.abc import Sequence

from .clock import Clock

_UNIT_NS = 1_000_000_000
"""In which steps a jump is followed where no windows are in use."""


class Timeline:
    """Gives stamps, which never run backwards, and has the daemon's time at each of them.

    Until a daemon has answered, stamps are monotonic times, and the first answer places all of them at once.
    From then on the time at a stamp is what the estimate of the daemon's time was when it was given: a later
    estimate that is a little more or less moves no value into another window. A jump of the estimate by at
    least half of the longest window comes of a clock that was set, or of another daemon. It carries all
    stamps along by the whole multiple of that window that is nearest to it: each keeps its place within its
    window, and nearly its distance from now.

    One thread at a time: who calls `stamp` and `take` holds the outbox's lock.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._ahead_ns = clock.offset_ns
        self._last: int | None = None
        self._is_placed = False

    def stamp(self) -> int:
        """Return the stamp of what is cut now."""
        found = self.clock.daemon_ns(self.clock.now()) - self._ahead_ns
        self._last = found if self._last is None else max(found, self._last)
        return self._last

    def daemon_ns(self, stamp: int) -> int:
        """Return the daemon's time at a stamp."""
        return stamp + self._ahead_ns

    def stamp_at(self, daemon_ns: int) -> int:
        """Return the stamp at a time of the daemon's."""
        return daemon_ns - self._ahead_ns

    def take(
        self, sent_ns: int | None, received_ns: int, daemon_ns: int, windows: Sequence[int], *, begins: bool
    ) -> None:
        """Take the daemon's time from an answer, see `Clock.observe`; `windows` are those in use now."""
        if not self.clock.is_told:
            self._last = None  # another daemon's time may be far behind, and no session has its stamps
        before_ns = self.clock.offset_ns
        self.clock.observe(sent_ns, received_ns, daemon_ns, begins=begins)
        change_ns = self.clock.offset_ns - before_ns
        if self._is_placed:
            unit_ns = max(windows, default=_UNIT_NS)
            carried_ns = (2 * abs(change_ns) + unit_ns) // (2 * unit_ns) * unit_ns
            change_ns = carried_ns if change_ns > 0 else -carried_ns
        self._ahead_ns += change_ns
        self._is_placed = True
