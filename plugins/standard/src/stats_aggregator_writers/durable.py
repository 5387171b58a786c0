"""Writing so that it is still there after a power loss.

The daemon moves a writer's cursor when the call returns, so a file is synced before that.
"""

from __future__ import annotations

import os


def make_directory(path: str) -> None:
    """Make the directory and its missing parents, each entered durably in its own."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(os.path.abspath(path))
    make_directory(parent)
    os.makedirs(path, exist_ok=True)
    sync_directory(parent)


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append(descriptor: int, data: bytes) -> None:
    """Write all of `data` and sync it; on an OSError a part of it may stand in the file."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)
