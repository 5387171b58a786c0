"""Ballast: a file that fills a small disk, whoever else writes to it meanwhile."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def fill(disk: Path, leave_bytes: int = 0) -> Path:
    """Write a file that leaves so much room beside it, or none where others take the rest; return it."""
    room = os.statvfs(disk)
    ballast = disk / "ballast"
    try:
        ballast.write_bytes(bytes(max(room.f_bavail * room.f_frsize - leave_bytes, 0)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return ballast
