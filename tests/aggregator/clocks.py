"""A clock that stands still until a test moves it."""

from __future__ import annotations

from stats_aggregator.clock import Clock

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
"""A whole multiple of ten seconds and of a minute's windows' tenth, so that windows are easy to name."""


class ManualClock(Clock):
    """The daemon's time, moved by hand."""

    def __init__(self, now_ns: int = START_NS) -> None:
        super().__init__()
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def not_before(self, earliest_ns: int) -> None:
        self._now_ns = max(self._now_ns, earliest_ns)

    def pass_s(self, seconds: float) -> None:
        self._now_ns += round(seconds * SECOND_NS)
