"""StatsReporter: inside the daemon, the place where plugins look for other writers."""

from __future__ import annotations

import threading
from typing import Any, NoReturn

from .thread_writers import writers_here


class StatsReporter:
    """Has the writers of the run: ML-Agents' three default ones and the plugin's own.

    It reports nothing: a plugin is where stats end. The class that workers use is the client's.
    """

    writers = writers_here
    lock = threading.RLock()

    def __init__(self, category: str) -> None:
        """Have a category."""
        self.category = category

    @staticmethod
    def add_writer(writer: Any) -> None:
        """Add a writer to the run; one that is added while the plugin registers gets every period."""
        writers_here.append(writer)

    def _refuse(self, method: str) -> NoReturn:
        raise NotImplementedError(
            f"StatsReporter.{method} is not provided inside the daemon, where stats end; report them by "
            "stats_aggregator_client.StatsReporter from the process that has them"
        )

    def add_stat(self, *_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError."""
        self._refuse("add_stat")

    def set_stat(self, *_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError."""
        self._refuse("set_stat")

    def add_property(self, *_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError."""
        self._refuse("add_property")

    def write_stats(self, *_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError."""
        self._refuse("write_stats")

    def get_stats_summaries(self, *_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError."""
        self._refuse("get_stats_summaries")
