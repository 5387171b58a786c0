"""RunWriters: the writers of a run that a plugin finds in `StatsReporter.writers`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .thread_writers import writers_here
from .vocabulary import Vocabulary

HIDDEN_KEYS = ("Is Training", "Step")


class RunWriters:
    """ML-Agents' three default writers, for plugins to look up and call, and the plugin's own.

    The default ones get nothing from the daemon, which has its own. All are of the thread that made this.
    """

    def __init__(self, vocabulary: Vocabulary, write_path: str) -> None:
        """Begin the run of this thread, whose results go to `write_path`."""
        stats = vocabulary.stats
        stats.StatsReporter.writers = writers_here  # where the class is ML-Agents' own it has a plain list
        self._defaults = [
            stats.TensorboardWriter(write_path, hidden_keys=list(HIDDEN_KEYS)),
            stats.GaugeWriter(),
            stats.ConsoleWriter(),
        ]
        self._writers = writers_here.begin(self._defaults)

    def take(self, registered: Iterable[Any]) -> list[Any]:
        """Take in what a plugin registered; return it with what it added to the reporter meanwhile."""
        added = self._writers[len(self._defaults) :]
        found = [*registered, *added]
        unique = list({id(writer): writer for writer in found}.values())
        self._writers[len(self._defaults) :] = unique
        return unique

    def flush(self) -> None:
        """Write out what the plugin drew: a call that returned is done."""
        for writer in self._summary_writers():
            writer.flush()

    def close(self) -> None:
        """Close what draws; it begins anew where it is used again."""
        for writer in self._summary_writers():
            writer.close()

    def _summary_writers(self) -> Iterator[Any]:
        for writer in self._writers:
            found = getattr(writer, "summary_writers", None)
            if isinstance(found, dict):
                yield from [one for one in found.values() if hasattr(one, "flush")]
