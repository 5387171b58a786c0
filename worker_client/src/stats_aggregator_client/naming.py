"""Who this process is: the name of its worker, and its random id."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from stats_aggregator_api.names import MAX_NAME_BYTES, UNSEEN

from .multiprocess import process_name


class Identity(NamedTuple):
    """What HELLO says of us."""

    worker: str
    run: str | None
    process: bytes
    info: Mapping[str, Any]


def new_id() -> bytes:
    """Return 16 random bytes: a session's or a process's id."""
    return os.urandom(16)


def default_worker(environment: Mapping[str, str]) -> str:
    """Return the worker's name where none was given.

    The host, and the rank that a launcher gave (`SLURM_PROCID` or `RANK`), else the name of the process.
    """
    rank = environment.get("SLURM_PROCID") or environment.get("RANK")
    return _allowed(f"{socket.gethostname()}-{rank or process_name()}")


def child_worker(worker: str, parent_process_name: str) -> str:
    """Return the name of a forked child of the process that went by `worker`.

    The suffix is the child's process name, or its process id where nobody gave it a name of its own.
    """
    name = process_name()
    suffix = str(os.getpid()) if name == parent_process_name else name
    room = MAX_NAME_BYTES - len(suffix.encode("utf-8", "replace")) - 1
    return _allowed(f"{worker.encode()[:room].decode('utf-8', 'ignore')}-{suffix}")


def _allowed(name: str) -> str:
    return UNSEEN.sub("_", name).encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "worker"
