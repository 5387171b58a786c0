"""Time windows: every multiple of a length, in nanoseconds of the daemon's time, is a boundary."""

from __future__ import annotations

from collections.abc import Sequence


def last_boundary(time_ns: int, windows: Sequence[int]) -> int:
    """Return the latest boundary at or before `time_ns`: where its window starts. 0 without windows."""
    return max((time_ns - time_ns % length for length in windows), default=0)


def next_boundary(time_ns: int, windows: Sequence[int]) -> int | None:
    """Return the first boundary after `time_ns`, or None without windows."""
    return min((time_ns - time_ns % length + length for length in windows), default=None)
