"""Chosen: the latest summaries of the keys that somebody chose, as gauges."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from stats_aggregator_api import Buckets, StatSummary

from ..errors import StoreError
from ..store.newest import Newest, PeriodRow
from .figures import PREFIX
from .settings import Gauges

log = logging.getLogger(__name__)

_LOOK_BACK = 8
"""Periods of each category that are looked through for keys that the newest one lacks."""


class _Latest(NamedTuple):
    summary: StatSummary
    period: PeriodRow
    p50: float
    p95: float

    @classmethod
    def of(cls, summary: StatSummary, period: PeriodRow) -> _Latest:
        """Return what is shown of a summary, without its buckets, which are looked through once."""
        p50, p95 = summary.percentile(50), summary.percentile(95)
        return cls(replace(summary, buckets=Buckets()), period, p50, p95)


Series = tuple[str, str, str]
"""Run, category and key."""

_FIELDS: tuple[tuple[str, str, Callable[[_Latest], float]], ...] = (
    ("value", "The headline: the field that the producer chose.", lambda at: at.summary.aggregated_value),
    ("num", "Values over all workers, without NaN and infinities.", lambda at: at.summary.num),
    ("mean", "Mean over all workers.", lambda at: at.summary.mean),
    ("std", "Standard deviation over all workers, the population's.", lambda at: at.summary.std),
    ("sum_of_values", "Sum over all workers.", lambda at: at.summary.sum),
    ("min", "Least value of any worker.", lambda at: at.summary.min),
    ("p50", "Median over all workers, by the buckets.", lambda at: at.p50),
    ("p95", "95th percentile over all workers, by the buckets.", lambda at: at.p95),
    ("max", "Greatest value of any worker.", lambda at: at.summary.max),
    ("last", "The newest value of any worker.", lambda at: at.summary.last),
    ("nan", "Values that were NaN.", lambda at: at.summary.num_nan),
    ("inf", "Values that were infinite.", lambda at: at.summary.num_inf),
    ("step", "The training step at which the period ended.", lambda at: at.period.step),
    ("end_timestamp_seconds", "When the period ended, since the epoch.", lambda at: at.period.end_ns / 1e9),
)
_PERIOD_FIELDS: tuple[tuple[str, str, Callable[[PeriodRow], float]], ...] = (
    ("workers_reporting", "Workers that sent to the category.", lambda row: row.workers_reporting),
    (
        "workers_expected",
        "Workers named or seen in it, not ended.",
        lambda row: row.workers_expected,
    ),
    ("late", "Values that came after the end of their window.", lambda row: row.late),
    ("lost", "Values that workers say they lost.", lambda row: row.lost),
)


class Chosen:
    """Keeps the latest summary of each series of the open runs whose key fits one of the globs.

    There are never more than `max_gauges`: what is new past them is left out, counted, and said once. A run
    that is closed takes its series with it. Any thread may collect.
    """

    def __init__(self, store: Path, gauges: Gauges) -> None:
        self._store, self._gauges = store, gauges
        self._newest: Newest | None = None
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._latest: dict[Series, _Latest] = {}
        self._periods: dict[tuple[str, str], PeriodRow] = {}
        self._left_out: dict[tuple[str, str], int] = {}
        self._has_said_so = False

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, as the store has them now; where it cannot be read, as it had them last."""
        with self._lock:
            try:
                self._refresh()
            except StoreError as error:
                log.warning("the latest summaries cannot be read now: %s", error)
            latest, periods = dict(self._latest), dict(self._periods)
            left_out = sum(self._left_out.values())
        for name, what, field in _FIELDS:
            metric = GaugeMetricFamily(f"{PREFIX}_stat_{name}", what, labels=("run", "category", "key"))
            for series, at in latest.items():
                metric.add_metric(series, field(at))
            yield metric
        for name, what, of_period in _PERIOD_FIELDS:
            metric = GaugeMetricFamily(f"{PREFIX}_period_{name}", what, labels=("run", "category"))
            for category, row in periods.items():
                metric.add_metric(category, of_period(row))
            yield metric
        what = "Chosen series that are not shown, since there are max_gauges others."
        yield GaugeMetricFamily(f"{PREFIX}_stats_left_out", what, value=left_out)

    def _refresh(self) -> None:
        if self._newest is None:
            self._newest = Newest(self._store)
        runs = self._newest.open_runs()
        for run in self._seen.keys() - runs.keys():
            self._forget(run)
        for run, last in runs.items():
            seen = self._seen.get(run, 0)
            if last > seen:
                for row in self._newest.periods(run, seen, _LOOK_BACK):
                    self._take(self._newest, run, row)
                self._seen[run] = last

    def _take(self, newest: Newest, run: str, row: PeriodRow) -> None:
        category, left_out = (run, row.category), 0
        for key, place in newest.keys(row.position).items():
            if not any(fnmatchcase(key, glob) for glob in self._gauges.keys):
                continue
            series = (*category, key)
            if series not in self._latest and len(self._latest) >= self._gauges.max_gauges:
                left_out += 1
            elif (summary := newest.summary(place)) is not None:
                self._latest[series] = _Latest.of(summary, row)
                self._periods[category] = row
        self._left_out[category] = left_out
        if left_out and not self._has_said_so:
            self._has_said_so = True
            log.warning(
                "more than max_gauges = %d series are chosen by keys in [http]: the others are left out",
                self._gauges.max_gauges,
            )

    def _forget(self, run: str) -> None:
        del self._seen[run]
        for series in [series for series in self._latest if series[0] == run]:
            del self._latest[series]
        for category in [category for category in self._periods if category[0] == run]:
            del self._periods[category]
        for category in [category for category in self._left_out if category[0] == run]:
            del self._left_out[category]

    def close(self) -> None:
        """Close the store; closing twice is fine."""
        if self._newest is not None:
            self._newest.close()
