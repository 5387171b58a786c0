"""Where tables go: a terminal as wide as it is, or a file in which nothing is cut."""

from __future__ import annotations

import sys

from rich.console import Console

_FILE_COLUMNS = 240


def wide_console() -> Console:
    """Return standard output; where it is no terminal, wide enough for grep to find whole names."""
    return Console() if sys.stdout.isatty() else Console(width=_FILE_COLUMNS)
