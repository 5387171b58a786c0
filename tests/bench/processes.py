"""Processes: the time and memory that they took, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

CPU_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""What the system counts in."""


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    # The name in parentheses may hold anything, also spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * CPU_TICK_S


def resident_mb(pid: int) -> float:
    """Return how much memory a process has, in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]
