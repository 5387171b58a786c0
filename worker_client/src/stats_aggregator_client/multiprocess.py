"""multiprocessing, where the process has it already, as its children have: it is never imported for us."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def process_name() -> str:
    """Return what multiprocessing calls this process."""
    current_process = _known("process", "current_process")
    return str(current_process().name) if current_process else "MainProcess"


def is_child() -> bool:
    """Return whether multiprocessing started this process, by whichever method."""
    parent_process = _known("process", "parent_process")
    return parent_process is not None and parent_process() is not None


def call_at_end(function: Callable[[], None]) -> None:
    """Have `function` called when multiprocessing ends this process: in its children atexit does not run."""
    finalize = _known("util", "Finalize")
    if finalize:
        finalize(None, function, exitpriority=100)


def _known(module: str, name: str) -> Any | None:
    # What another thread is just importing stands there too, and is empty yet.
    return getattr(sys.modules.get(f"multiprocessing.{module}"), name, None)
