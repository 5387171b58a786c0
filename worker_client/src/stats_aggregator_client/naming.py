"""Who this process is: the name of its worker, and its random id."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stats_aggregator_api.names import MAX_NAME_BYTES, UNSEEN

from .multiprocess import process_name

_WORLD_SIZES = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Where launchers say how many processes they started; the first that has a number counts."""
_MAX_DIGITS = 18
"""A number that is longer may be none that the wire can carry."""


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


def world_size(environment: Mapping[str, str]) -> int | None:
    """Return how many processes a launcher says that it started, or None where it says no number."""
    for variable in _WORLD_SIZES:
        found = environment.get(variable, "").strip()
        if found.isascii() and found.isdigit() and len(found) <= _MAX_DIGITS and int(found):
            return int(found)
    return None


def command(arguments: Sequence[str]) -> str:
    """Return the name of the script among the arguments of a process, "" where there is none."""
    path = str(arguments[0]) if arguments else ""
    folder, name = os.path.split(path)
    # What was run as a module is named like its package.
    found = os.path.basename(folder) if name == "__main__.py" else name
    return found.encode("utf-8", "replace").decode()


def process_info(
    version: str, environment: Mapping[str, str], arguments: Sequence[str], *, is_child: bool
) -> dict[str, Any]:
    """Return the info map of HELLO.

    A child process inherits the environment, and is none of those that the launcher counted.
    """
    info: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "version": version}
    if name := command(arguments):
        info["command"] = name
    size = None if is_child else world_size(environment)
    return info if size is None else info | {"world_size": size}


def _allowed(name: str) -> str:
    return UNSEEN.sub("_", name).encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "worker"
