"""AdaptedWriter: a writer of ML-Agents' contract as one of the daemon's."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType, StatSummary, StatsWriter

from .run_writers import RunWriters
from .vocabulary import Vocabulary


class AdaptedWriter(StatsWriter):
    """Hands each call on to a plugin's writer, in the plugin's classes and in copies of its own.

    What the writer changes of what it is given, nobody else sees.
    """

    def __init__(self, to: Any, vocabulary: Vocabulary, run: RunWriters) -> None:
        """Call `to`, anything that has `write_stats`."""
        self._to = to
        self._vocabulary = vocabulary
        self._run = run

    @property
    def destination(self) -> Any:
        """Where the writer says that it writes, if it does."""
        return getattr(self._to, "destination", None)

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Hand on a dict of StatsSummary."""
        self._to.write_stats(category, self._vocabulary.summaries(values), step)
        self._run.flush()

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Hand on a copy, where the writer takes properties."""
        add_property = getattr(self._to, "add_property", None)
        if add_property is not None:
            add_property(category, self._vocabulary.property_type(property_type), deepcopy(value))
            self._run.flush()

    def close(self) -> None:
        """Close the writer where it can be, and what it drew with."""
        try:
            close = getattr(self._to, "close", None)
            if close is not None:
                close()
        finally:
            self._run.close()


class ListeningWriter(AdaptedWriter):
    """Hands on each value too."""

    def on_add_stat(self, category: str, key: str, value: float, aggregation: StatsAggregationMethod) -> None:
        """Hand on the value."""
        self._to.on_add_stat(category, key, value, self._vocabulary.method(aggregation))


def adapted(to: Any, vocabulary: Vocabulary, run: RunWriters) -> StatsWriter:
    """Return the wrapper of a writer. Its class has the name of the writer's, which the daemon shows."""
    kind = ListeningWriter if _listens(to, vocabulary) else AdaptedWriter
    theirs = type(to)
    named = type(theirs.__qualname__, (kind,), {"__module__": theirs.__module__})
    made: StatsWriter = named(to, vocabulary, run)
    return made


def _listens(to: Any, vocabulary: Vocabulary) -> bool:
    """Return whether a writer has an `on_add_stat` that is not merely its base's."""
    found = getattr(to, "on_add_stat", None)
    bases = (vocabulary.stats.StatsWriter.on_add_stat, StatsWriter.on_add_stat)
    return found is not None and getattr(found, "__func__", found) not in bases
