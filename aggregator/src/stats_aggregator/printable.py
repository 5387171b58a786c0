"""Printable: text of plugins, workers and systems, made fit for a terminal and a line of the log."""

from __future__ import annotations

import logging
import re
from types import TracebackType

from stats_aggregator_api.names import UNSEEN


def printable(text: str, keep: str = "") -> str:
    r"""Return `text` with control and format characters, but those in `keep`, written out, as `\x1b`."""
    return UNSEEN.sub(lambda found: found[0] if found[0] in keep else _written_out(found), text)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class PrintableFormatter(logging.Formatter):
    """Writes a record's message on one line, whatever is in it, and a traceback on its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of a record."""
        return printable(super().formatMessage(record))

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the lines of a traceback."""
        return printable(super().formatException(ei), keep="\n\t")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the lines of a stack."""
        return printable(super().formatStack(stack_info), keep="\n\t")


def log_printably(level: int, line: str = "%(message)s") -> None:
    """Log to stderr from `level` on, each record as `line` says, behind its time and level.

    All processes of a daemon share one stderr, and so one form.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(f"%(asctime)s %(levelname)-7s {line}", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler])
