"""Writing out: the disk begins with what was written, while the processor does something else."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_SYNC_FILE_RANGE_WRITE = 2
_LEAST_BYTES = 64 << 10
"""Less than this is on the disk as soon."""


def _of_libc() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None  # no Linux
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    found: Callable[[int, int, int, int], int] = call
    return found


_sync_file_range = _of_libc()


def begin_write_out(fd: int, offset: int, size_bytes: int) -> None:
    """Let the system write these bytes of a file now; whether that went well only a sync tells."""
    if _sync_file_range is not None and size_bytes >= _LEAST_BYTES:
        _sync_file_range(fd, offset, size_bytes, _SYNC_FILE_RANGE_WRITE)
