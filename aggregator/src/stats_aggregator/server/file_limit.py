"""The limit of open files: a socket for each worker, and each is one."""

from __future__ import annotations

import resource


def raise_file_limit() -> None:
    """Raise it as far as it goes: at the limit a ROUTER spins without an error, and takes nobody in."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except ValueError:
        pass  # macOS says "no limit" and then takes none: its own default stays
