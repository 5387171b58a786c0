"""Tap: shows raw values to the writers of a plugin that override `on_add_stat`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from stats_aggregator_api import StatsAggregationMethod, StatsWriter
from stats_aggregator_client import wire

from ..store.stored import StoredPeriod
from .failures import Failures
from .feed import FeedQueue, RawBatch
from .step import AGAIN, IDLE, Step
from .terms import Terms

WAIT_S = 1.0
"""How long a period waits, once it is stored, for the last of its values."""
_BATCHES_A_PASS = 64


def overrides_on_add_stat(writer: StatsWriter) -> bool:
    """Return whether the writer wants the raw values."""
    return type(writer).on_add_stat is not StatsWriter.on_add_stat


class Tap:
    """Calls `on_add_stat` in the order of arrival, and counts what each writer was shown of each period.

    A value is shown once or not at all: where the writer raises, it is unseen.
    """

    def __init__(
        self, run: str, queue: FeedQueue, writers: Sequence[StatsWriter], failures: Failures, terms: Terms
    ) -> None:
        self._run = run
        self._queue = queue
        self._failures = failures
        self._terms = terms
        self._shown: dict[int, dict[tuple[str, int], int]] = {
            id(writer): {} for writer in writers if overrides_on_add_stat(writer)
        }
        self._writers = [writer for writer in writers if id(writer) in self._shown]
        self._written: dict[tuple[int, str], int] = {}
        self._complete: dict[tuple[str, int], None] = {}

    def show(self) -> Step:
        """Show the next few batches; the step says whether there may be more."""
        for _ in range(_BATCHES_A_PASS):
            batch = self._queue.take()
            if batch is None:
                return IDLE
            if batch.frame:
                self._show_batch(batch)
            else:
                self._complete[batch.category, batch.ordinal] = None
                if len(self._complete) > 1000:  # of periods that were set aside or skipped
                    del self._complete[next(iter(self._complete))]
        return AGAIN

    def wait_s(self, writer: StatsWriter, entry: StoredPeriod) -> float:
        """Return how long `write_stats` should wait for values of the period that are on their way."""
        period = entry.summaries.period
        if id(writer) not in self._shown or (period.category, period.ordinal) in self._complete:
            return 0.0
        return max(0.0, WAIT_S - (self._terms.now_ns() - entry.stored_ns) / 1e9)

    def unseen(self, writer: StatsWriter, entry: StoredPeriod) -> int:
        """Return how many values of the period the writer was not shown; from now on it is shown no more."""
        if id(writer) not in self._shown:
            return 0
        period = entry.summaries.period
        self._written[id(writer), period.category] = period.ordinal
        return max(0, entry.num_values - self._shown[id(writer)].get((period.category, period.ordinal), 0))

    def written(self, writer: StatsWriter, entry: StoredPeriod) -> None:
        """Forget the counts of this period and of those before it."""
        done, periods = entry.summaries.period, self._shown.get(id(writer), {})
        for category, ordinal in list(periods):
            if category == done.category and ordinal <= done.ordinal:
                del periods[category, ordinal]

    def _show_batch(self, batch: RawBatch) -> None:
        message = wire.decode(batch.frame)
        if not isinstance(message, wire.Batch):
            return
        series = [(key, _METHODS[method]) for key, method in wire.decode_series(message.series)]
        counts, values = array("I", message.counts), array("d", message.values)
        for writer in self._writers:
            if batch.ordinal > self._written.get((id(writer), batch.category), -1):
                name = (batch.category, batch.ordinal)
                shown = self._show_writer(writer, batch.category, series, counts, values)
                periods = self._shown[id(writer)]
                periods[name] = periods.get(name, 0) + shown

    def _show_writer(
        self,
        writer: StatsWriter,
        category: str,
        series: Sequence[tuple[str, StatsAggregationMethod]],
        counts: Sequence[int],
        values: Sequence[float],
    ) -> int:
        shown, at = 0, 0
        with self._terms.calling(self._run):
            for (key, method), count in zip(series, counts, strict=True):
                for value in values[at : at + count]:
                    try:
                        writer.on_add_stat(category, key, value, method)
                        shown += 1
                    except BaseException as error:  # noqa: BLE001 - SystemExit too is the writer's failure
                        self._failures.say(f"on_add_stat for {category}: {key}", error, "the value is unseen")
                at += count
        return shown


_METHODS = {int(method): method for method in StatsAggregationMethod}
