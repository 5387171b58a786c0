"""Accumulator: everything that an open period knows of its values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_client.wire import Batch

from .joined import Joined, Part, Source
from .latest import Latest
from .moments import Moments
from .retained import Retained
from .series import Disagreement, SeriesCache, SeriesTable

_MOST_RECENT = int(StatsAggregationMethod.MOST_RECENT)
_SESSION = struct.Struct(">QQ")


class NotFinite(NamedTuple):
    """The first NaN or infinity of a series in a period, and who sent it."""

    key: str
    worker: str
    step: int | None
    num: int


class Accumulator:
    """The values of one open period: a monoid over batches, whose order changes nothing but arrival order.

    `workers` lists who has sent values, in order of first arrival; moments name workers by their place there.
    """

    def __init__(self, retain_values: int, cache: SeriesCache) -> None:
        self.series = SeriesTable()
        self.moments = Moments()
        self.retained = Retained(retain_values)
        self.latest = Latest()
        self.workers: list[str] = []
        self.num_values = 0
        self._not_finite: list[NotFinite] = []
        self._cache = cache
        self._worker_numbers: dict[str, int] = {}
        self._sources: dict[bytes, Source] = {}
        self._is_noted = np.empty(0, dtype=np.bool_)

    def add(self, batches: Sequence[tuple[Batch, str]]) -> None:
        """Add a group's batches with the names of their workers, as one."""
        carrying = [(batch, worker) for batch, worker in batches if batch.counts]
        if not carrying:
            return
        known = len(self.series)
        parts = [self._part(batch, worker) for batch, worker in carrying]
        joined = Joined(parts)
        if len(self.series) > known:
            self._grow()
        self.moments.add(joined)
        self.retained.add(joined, self.moments.num)
        if self._any_most_recent:
            self.latest.add(joined, self._most_recent)
        self.num_values += len(joined.values)
        if joined.finite is not None:
            self._note_not_finite(joined, carrying)

    def _part(self, batch: Batch, worker: str) -> Part:
        source = self._sources.get(batch.session)
        if source is None:
            number = self._worker_numbers.setdefault(worker, len(self.workers))
            if number == len(self.workers):
                self.workers.append(worker)
            source = self._sources[batch.session] = Source(number, *_SESSION.unpack(batch.session))
        columns = self.series.columns(batch.series, self._cache, worker)
        return Part(columns, batch.counts, batch.values, source, batch.t_last, batch.seq)

    def _grow(self) -> None:
        aggregations = np.array(self.series.aggregations)
        self._most_recent = aggregations == _MOST_RECENT
        self._any_most_recent = bool(self._most_recent.any())
        more = np.zeros(len(aggregations) - len(self._is_noted), dtype=np.bool_)
        self._is_noted = np.append(self._is_noted, more)
        self.moments.grow(len(aggregations))
        self.retained.grow(~self._most_recent)

    def _note_not_finite(self, joined: Joined, carrying: Sequence[tuple[Batch, str]]) -> None:
        # Once a series, not a segment: a training that diverged sends NaN in every one of them.
        segments = np.flatnonzero((joined.num < joined.counts) & ~self._is_noted[joined.series])
        series, firsts = np.unique(joined.series[segments], return_index=True)
        self._is_noted[series] = True
        for segment in segments[np.sort(firsts)].tolist():
            batch, worker = carrying[joined.batch[segment]]
            num = int(joined.counts[segment] - joined.num[segment])
            key = self.series.keys[joined.series[segment]]
            self._not_finite.append(NotFinite(key, worker, batch.step, num))

    def take_oddities(self) -> list[NotFinite | Disagreement]:
        """Return what producers should be told of, each once a series, that was found since the last call."""
        found: list[NotFinite | Disagreement] = [*self._not_finite, *self.series.disagreements]
        self._not_finite.clear()
        self.series.disagreements.clear()
        return found
