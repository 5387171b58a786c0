"""Restraint: what a writer's process does not take from the daemon and the training, memory and cores."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_FIRST_TO_GO = 500
_NICE = 10


def bound_memory(max_memory_bytes: int) -> None:
    """Bound the memory where that is set, and let a machine that has none left end this process first."""
    if max_memory_bytes:
        # Not the address space: that counts what is mapped and never touched.
        resource.setrlimit(resource.RLIMIT_DATA, (max_memory_bytes, max_memory_bytes))
    _tell_linux("oom_score_adj", _FIRST_TO_GO)


def give_way() -> None:
    """Leave the cores to others where there are not enough: a writer may spin."""
    os.nice(_NICE)
    if os.getsid(0) == os.getpid():
        # Where Linux groups processes by session, niceness counts within one alone, and each has its own.
        _tell_linux("autogroup", _NICE)


def _tell_linux(name: str, number: int) -> None:
    try:
        Path("/proc/self", name).write_text(str(number))
    except OSError:
        pass  # another system, or it is configured otherwise
