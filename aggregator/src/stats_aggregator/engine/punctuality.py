"""Punctuality: whether periods end when they are due."""

from __future__ import annotations

_MAX_BEHIND_NS = 1_000_000_000
"""How long periods that are due may wait for the closer before that is late."""


class Punctuality:
    """Remembers when nothing was due any more; where that is long ago, the daemon `is_behind`."""

    def __init__(self) -> None:
        self._on_time_ns = 0
        self.is_behind = False

    def kept(self, now_ns: int) -> None:
        """Note that nothing is due now."""
        self._on_time_ns, self.is_behind = now_ns, False

    def missed(self, now_ns: int) -> None:
        """Note that something is due, and has to wait."""
        self.is_behind = now_ns - self._on_time_ns > _MAX_BEHIND_NS
