"""Figures: what a daemon says of itself, as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from stats_aggregator_client.wire import RejectCode

from .desk import Answer

PREFIX = "stats_aggregator"
_NO_MESSAGES = ("duplicate", "gap")
"""What is counted beside the kinds of messages."""

# Name, where it stands in a status, and what it is.
_GAUGES = (
    ("uptime_seconds", ("uptime_s",), "Time since the daemon's start."),
    ("values_per_second", ("values_per_s",), "Values taken a second, a moving average."),
    ("journal_bytes", ("journal", "bytes"), "Size of the journal."),
    ("journal_segments", ("journal", "segments"), "Files of the journal."),
    ("closer_waiting", ("closer", "waiting"), "Ended periods and properties that are not stored yet."),
    ("categories", ("open", "categories"), "Categories of all runs."),
    ("open_periods", ("open", "periods"), "Periods that take values."),
    ("series", ("open", "series"), "Series of all open periods."),
    ("waiting_values", ("open", "waiting_values"), "Values in open periods."),
)
_COUNTERS = (
    ("batches", ("totals", "batches"), "Batches taken."),
    ("values", ("totals", "values"), "Values taken, NaN and infinities among them."),
    ("values_late", ("totals", "late"), "Values that came after the end of their window."),
    ("values_lost", ("totals", "lost"), "Values that workers say they lost."),
    (
        "values_uncertain",
        ("totals", "uncertain"),
        "Values of which workers do not know whether they arrived.",
    ),
    ("periods_closed", ("totals", "periods_closed"), "Periods that ended."),
    ("journal_checkpoints", ("journal", "checkpoints"), "Times that open periods were written down whole."),
)
_WRITER_GAUGES = (
    ("backlog", "backlog", "Periods and properties that a writer has still before it."),
    ("failures", "failures", "Calls of a writer that failed in a row."),
    ("in_call_seconds", "in_call_s", "How long a writer has been in its call."),
)
_WRITER_COUNTERS = (
    ("delivered", "delivered", "Periods and properties that a writer took."),
    ("set_aside", "set_aside", "Periods and properties that a writer could not take."),
    ("skipped", "skipped", "Periods that a writer did not get: too many waited, or for too long."),
)


def figures(answer: Answer) -> Iterator[Metric]:
    """Yield what a daemon's answer says; of one that did not answer, that alone."""
    status = answer.status
    yield _gauge("up", status is not None, "Whether the daemon answers.")
    yield _gauge("answer_seconds", answer.took_s, "How long the daemon took to answer, or did not.")
    if status is None:
        return
    yield InfoMetricFamily(f"{PREFIX}_build", "The daemon.", value={"version": status["version"]})
    yield _gauge("ready", is_ready(status), "Whether the daemon takes values.")
    for name, path, what in _GAUGES:
        yield _gauge(name, _at(status, path), what)
    for name, path, what in _COUNTERS:
        yield _counter(name, what, _at(status, path))
    yield from _messages(status)
    yield _labelled(GaugeMetricFamily, "sessions", "Sessions of workers.", "state", status["sessions"])
    yield _syncs(status["journal"])
    yield from _plugins(status)
    yield from _writers(status)


def is_ready(status: Mapping[str, Any]) -> bool:
    """Return whether the daemon takes values: it does not stop, and waits for no room on its disk."""
    return bool(status["state"] == "running")


def _messages(status: Mapping[str, Any]) -> Iterator[Metric]:
    received = status["received"]
    kinds = {kind: number for kind, number in received.items() if kind not in _NO_MESSAGES}
    yield _labelled(CounterMetricFamily, "messages", "Messages received.", "kind", kinds)
    # All reasons that there are, so that the first refusal shows as a rise.
    rejected = dict.fromkeys((*(code.name.lower() for code in RejectCode), "frames"), 0)
    rejected.update(status["rejected"])
    yield _labelled(CounterMetricFamily, "rejected", "Messages refused or dropped.", "reason", rejected)
    yield _counter(
        "duplicates", "Messages that came again, and were not counted.", received.get("duplicate", 0)
    )
    yield _counter(
        "gaps", "Times that a session's acknowledged messages were missing.", received.get("gap", 0)
    )


def _syncs(journal: Mapping[str, Any]) -> Metric:
    buckets = [(f"{limit_s:g}", count) for limit_s, count in journal["syncs_by_s"]]
    buckets.append(("+Inf", journal["syncs"]))
    what = "How long the journal's syncs took; nothing is acknowledged before its own."
    return HistogramMetricFamily(f"{PREFIX}_journal_sync_seconds", what, buckets, journal["sync_s"])


def _plugins(status: Mapping[str, Any]) -> Iterator[Metric]:
    active = [plugin for plugin in status["plugins"] if plugin["state"] != "disabled"]
    loaded = {plugin["plugin"]: plugin["state"] == "loaded" for plugin in active}
    yield _labelled(
        GaugeMetricFamily, "writer_loaded", "Whether a writer's plugin is loaded.", "writer", loaded
    )
    restarts = {plugin["plugin"]: plugin["restarts"] for plugin in active}
    yield _labelled(
        CounterMetricFamily, "writer_restarts", "Times that a writer's process died.", "writer", restarts
    )
    # Without it the figures of writers are missing, and that must not look like health.
    yield _gauge("store_readable", "store_error" not in status, "Whether the daemon can read its store.")


def _writers(status: Mapping[str, Any]) -> Iterator[Metric]:
    labels = ("writer", "run", "place")
    # A writer whose run has ended, and that has all of it, has nothing to say any more.
    rows = [row for row in status["writers"] if row["state"] != "closed" or row["backlog"]]
    for family, table in ((GaugeMetricFamily, _WRITER_GAUGES), (CounterMetricFamily, _WRITER_COUNTERS)):
        for name, field, what in table:
            metric = family(f"{PREFIX}_writer_{name}", what, labels=labels)
            for row in rows:
                metric.add_metric((row["plugin"], row["run"], str(row["place"])), row[field])
            yield metric


def _at(status: Mapping[str, Any], path: tuple[str, ...]) -> float:
    found: Any = status
    for name in path:
        found = found[name]
    return float(found)


def _gauge(name: str, value: float, what: str) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", what, value=float(value))


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", what, value=value)


def _labelled(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    what: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    metric = family(f"{PREFIX}_{name}", what, labels=(label,))
    for each, value in values.items():
        metric.add_metric((each,), float(value))
    return metric
