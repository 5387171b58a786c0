"""Freed memory: kept by the process for the next group, and not given back to the system after each."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGE_BYTES = 32 << 20
"""Blocks up to this come from what is kept; glibc takes no more."""


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: the engine's columns are made and freed a thousand times a second.

    Each new page costs a fault, which took a quarter of the time of a group. Other C libraries do as they do.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
