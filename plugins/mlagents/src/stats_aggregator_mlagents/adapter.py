"""MLAgentsAdapter: what the daemon finds by entry point, and loads plugins of ML-Agents' group with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

from stats_aggregator_api import Adapter, RunOptions, StatsWriter

from .adapted_writer import adapted
from .errors import NotProvided
from .provision import NAMES_PATH, NamesFinder, missing_packages, provide
from .run_writers import RunWriters
from .vocabulary import Vocabulary


class MLAgentsAdapter(Adapter):
    """Loads plugins of `mlagents.stats_writer`, with ML-Agents where it is installed and without."""

    def load(self, entry_point: EntryPoint) -> Callable[[RunOptions], list[StatsWriter]]:
        """Import a plugin. Raises NotProvided where it needs more of ML-Agents than there is."""
        finder = provide()
        found = _explained(finder, entry_point.load)
        if not callable(found):
            return found  # type: ignore[no-any-return]  # the daemon says what is wrong with it
        vocabulary = Vocabulary.imported()

        def register(run_options: RunOptions) -> list[StatsWriter]:
            options = vocabulary.run_options(run_options)
            run = RunWriters(vocabulary, options.checkpoint_settings.write_path)
            made = _explained(finder, lambda: found(options))
            if not isinstance(made, (list, tuple)):
                return made  # type: ignore[no-any-return]
            return [
                adapted(writer, vocabulary, run) if hasattr(writer, "write_stats") else writer
                for writer in run.take(made)
            ]

        return register

    def build_path(self) -> str | None:
        """Return the directory to have on PYTHONPATH while a plugin is built, None where none is needed."""
        return NAMES_PATH if missing_packages() else None


def _explained(finder: NamesFinder, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except NotProvided:
        raise
    except ImportError as error:
        if finder.has(error.name):
            raise NotProvided.explaining(error) from error
        raise
