"""StatsReporter: what training code calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stats_aggregator_api import StatsAggregationMethod, StatsPropertyType

from .columns import HOT_LIMIT
from .increments import HOT_STEPS
from .summary import summarize
from .timer import Timer
from .wire import Closing

if TYPE_CHECKING:
    from stats_aggregator_api import StatSummary

    from .buffer import CategoryBuffer
    from .client import StatsClient
    from .null import NullBuffer

AVERAGE, MOST_RECENT = StatsAggregationMethod.AVERAGE, StatsAggregationMethod.MOST_RECENT


class StatsReporter:
    """Reports the stats of one category: ML-Agents' class of this name, and more.

    No call blocks on the network, and none raises after the constructor did not. All may be called from any
    thread. `StatsReporter(category)` uses the default client, which the environment configures; its periods
    end with `write_stats`. `client.reporter(category)` gives one whose periods end by time until its
    `write_stats` is first called.
    """

    __slots__ = ("_average", "_buffer", "_increments", "_places", "category")

    def __init__(self, category: str, client: StatsClient | None = None) -> None:
        """Report to `client`, or the default one. Raises SettingError where `category` is no name."""
        if client is None:
            from .default import default_client  # which makes clients, which make reporters

            client = default_client()
        self._attach(category, client.buffer(category, Closing.WRITE))

    @classmethod
    def over(cls, category: str, buffer: CategoryBuffer | NullBuffer) -> StatsReporter:
        """Return a reporter of a buffer that a client has made."""
        reporter = cls.__new__(cls)
        reporter._attach(category, buffer)
        return reporter

    def _attach(self, category: str, buffer: CategoryBuffer | NullBuffer) -> None:
        self.category = category
        self._buffer = buffer
        self._places: list[Any] = list(buffer.places)
        self._average: Any = buffer.places[AVERAGE]
        self._increments = buffer.increments

    def add_stat(self, key: str, value: float, aggregation: StatsAggregationMethod = AVERAGE) -> None:
        """Add one value to the series `key`.

        `value` is anything that becomes a float, also a tensor or array of one element: it is converted
        before this returns. What is no number is counted and logged once with its key.
        """
        if type(value) is float:  # which needs nothing but a place
            try:
                places = self._average[key] if aggregation is AVERAGE else self._places[aggregation][key]
            except Exception:  # noqa: BLE001 - a new series, or what is no key: even its hash may raise anything
                places = ()
            for column in places:
                column.append(value)
                return
        self._buffer.add(key, value, aggregation)

    def set_stat(self, key: str, value: float) -> None:
        """Set the series `key` to `value`: its latest value counts, not a mean over the period."""
        self.add_stat(key, value, MOST_RECENT)

    def add_stats(self, key: str, values: Any, aggregation: StatsAggregationMethod = AVERAGE) -> None:
        """Add many values to the series `key`, in their order.

        `values` is anything with the buffer protocol (numpy arrays of any shape and number type), a tensor,
        or an iterable of numbers. It is copied before this returns. Contiguous float64 is fastest.
        """
        self._buffer.extend(key, values, aggregation)

    def timer(self, key: str) -> Timer:
        """Return a context manager and decorator that adds how many seconds something took to `key`."""
        return Timer(lambda seconds: self.add_stat(key, seconds))

    def add_property(self, property_type: StatsPropertyType, value: Any) -> None:
        """Tell the writers a fact that is no number, such as hyperparameters.

        Data classes and named tuples become mappings, arrays lists, and what is of no plain JSON type its
        `str`. At most 900 kB encoded.
        """
        self._buffer.add_property(property_type, value)

    def set_step(self, step: int) -> None:
        """Set the training step of the category: the x axis."""
        self._buffer.set_step(step)

    def add_steps(self, steps: int) -> None:
        """Count `steps` more training steps; the daemon sums them over all workers, each exactly once."""
        increments = self._increments
        if steps.__class__ is int and 0 <= steps < HOT_STEPS and 0 < len(increments) < HOT_LIMIT:
            increments.append(steps)
        else:  # also the first one since a cut, which wakes who sends
            self._buffer.add_steps(steps)

    def write_stats(self, step: int) -> None:
        """End the period at `step`: all values added so far belong to it, those of other threads too."""
        self._buffer.write(step)

    def rewind(self, step: int) -> None:
        """End the period and let the step go back to `step`: training resumed from an older checkpoint."""
        self._buffer.rewind(step)

    def get_stats_summaries(self, key: str) -> StatSummary:
        """Return the summary of this worker's own values of `key` since the last `write_stats`.

        Over the newest 65,536 of them; where a client has more than 64 series, over as many fewer each. All
        series together keep half as many bytes as `buffer_bytes`.
        """
        return summarize(*self._buffer.own_values(key))
