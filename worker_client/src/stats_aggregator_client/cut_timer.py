"""CutTimer: when the buffers are cut next."""

from __future__ import annotations

import random

from .outbox import Outbox
from .windows import last_boundary, next_boundary

_LEAST_WINDOW_NS = 10_000_000
"""Boundaries that are closer together than this are not all cut at."""


class CutTimer:
    """Due after an interval, with jitter, and at the first boundary of a window after the last cut."""

    def __init__(self, outbox: Outbox, interval_ns: int) -> None:
        self._outbox = outbox
        self._clock = outbox.clock
        self._interval_ns = interval_ns
        self._random = random.Random()  # of our own: training's stays as it was seeded
        self._interval_at = self._clock.now()
        self._begin = outbox.stamp()
        self.due_ns = self._interval_at

    def begin_cut(self) -> None:
        """The buffers are cut now; what comes meanwhile is cut the next time."""
        self._begin = self._outbox.stamp()
        self._interval_at = self._clock.now() + int(self._interval_ns * self._random.uniform(0.8, 1.2))
        self.follow()

    def follow(self) -> None:
        """Follow the windows and the estimate of the daemon's time, which may have changed."""
        self.due_ns = self._interval_at
        windows = self._outbox.windows or ()
        begin_ns = self._outbox.timeline.daemon_ns(self._begin)
        boundary = next_boundary(begin_ns, windows)
        if boundary is not None:
            cut_at = max(boundary, last_boundary(begin_ns, windows) + _LEAST_WINDOW_NS)
            self.due_ns = min(self.due_ns, self._clock.monotonic_ns(cut_at))
