"""Screen: standard output, shared by the console writers of all runs in this process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import Counter
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

_LOG = logging.getLogger(__name__)
_WIDTH_WITHOUT_TERMINAL = 120


class Screen:
    """Prints whole pieces to standard output, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: Counter[str] = Counter()

    def enter(self, run: str) -> None:
        """Say that a writer of `run` prints here from now on."""
        with self._lock:
            self._runs[run] += 1

    def leave(self, run: str) -> None:
        """Say that a writer of `run` is done."""
        with self._lock:
            self._runs -= Counter([run])

    @property
    def has_several_runs(self) -> bool:
        """Whether what is printed must say which run it is about."""
        return len(self._runs) > 1

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be looking."""
        return sys.stdout.isatty()

    def show(self, *parts: RenderableType) -> None:
        """Print `parts`, each from the start of a line; colours only on a terminal. Raises OSError.

        Where the reader went away (`serve | head`), it says so once and prints to nowhere from then on:
        repeating could never succeed.
        """
        stream = sys.stdout
        width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
        # Rendered to memory first, since rich ends the process on a broken pipe.
        console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
        with console.capture() as captured:
            for part in parts:
                # A line stays one, for who searches for it. The head of a table breaks between words on a
                # terminal, which would break it anywhere.
                is_line = isinstance(part, str) or (isinstance(part, Text) and width is not None)
                console.print(part, soft_wrap=is_line)
        encoding = stream.encoding or "utf-8"
        text = captured.get().encode(encoding, errors="replace").decode(encoding)
        with self._lock:
            try:
                stream.write(text)
                stream.flush()
            except BrokenPipeError:
                _to_nowhere(stream)
                _LOG.warning("standard output is closed; the console writer prints to nowhere from now on")


def _to_nowhere(stream: TextIO) -> None:
    # What is still buffered must go somewhere too, or the process ends with an error.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
