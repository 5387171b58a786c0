"""Accumulator: everything that an open period knows of its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgpack
import numpy as np

from stats_aggregator_api import StatsAggregationMethod
from stats_aggregator_client.wire import INT64_MAX, Batch, Partial

from .joined import Joined, Source
from .joined_partials import JoinedPartials, PartialPart
from .latest import Latest
from .moments import Moments
from .order import split_session
from .part_table import PartTable
from .retained import Retained, Weight
from .series import Disagreement, Overflow, SeriesCache, SeriesTable

_MOST_RECENT = int(StatsAggregationMethod.MOST_RECENT)


class NotFinite(NamedTuple):
    """The first NaN or infinity of a series in a period, and who sent it."""

    key: str
    worker: str
    step: int | None
    num: int


Oddity = NotFinite | Disagreement | Overflow


class Limits(NamedTuple):
    """What a period may hold, as it was when it began: `retain_values` a series, and how many series."""

    retain_values: int
    max_series: int


class Accumulator:
    """The values of one open period: a monoid over messages, whose order changes nothing but arrival order.

    `workers` lists who has sent values, in order of first arrival; moments name workers by their place there.
    """

    def __init__(self, limits: Limits, cache: SeriesCache) -> None:
        self.limits = limits
        self.series = SeriesTable(limits.max_series)
        self.moments = Moments()
        self.retained = Retained(limits.retain_values)
        self.latest = Latest()
        self.workers: list[str] = []
        self.num_values = 0
        self._not_finite: list[NotFinite] = []
        self._cache = cache
        self._worker_numbers: dict[str, int] = {}
        self._sources: dict[bytes, Source] = {}
        self._is_noted = np.empty(0, dtype=np.bool_)

    def add(self, messages: Sequence[tuple[Batch | Partial, str]]) -> None:
        """Add a group's messages with the names of their senders: its batches as one, then its PARTIALs."""
        batches = [(m, worker) for m, worker in messages if isinstance(m, Batch) and m.counts]
        if batches:
            self._add_batches(batches)
        partials = [(m, worker) for m, worker in messages if isinstance(m, Partial)]
        if partials:
            self._add_partials(partials)

    def _add_batches(self, batches: Sequence[tuple[Batch, str]]) -> None:
        sources = [self._source(batch, worker) for batch, worker in batches]
        columns = [self.series.columns(batch.series, self._cache, worker) for batch, worker in batches]
        joined = Joined([batch for batch, _ in batches], columns, sources)
        self._grow()
        self.moments.add(joined)
        self.retained.add(joined, self.moments.num)
        if self._any_most_recent:
            self.latest.add(joined, self._most_recent)
        self.num_values = min(self.num_values + len(joined.values), INT64_MAX)
        if joined.finite is not None:
            self._note_not_finite(joined, batches)

    def _source(self, batch: Batch, worker: str) -> Source:
        source = self._sources.get(batch.session)
        if source is None:
            source = Source(self._number_of(worker), split_session(batch.session))
            self._sources[batch.session] = source
        return source

    def _add_partials(self, partials: Sequence[tuple[Partial, str]]) -> None:
        parts = []
        for partial, worker in partials:
            for name in partial.workers or (worker,):
                self._number_of(name)
            columns = self.series.columns(partial.series, self._cache, worker)
            parts.append(PartialPart(columns, PartTable(partial), self._number_of(worker)))
        joined = JoinedPartials(parts, self._number_of)
        self._grow()
        self.retained.merge(joined, self.moments.num)
        self.moments.add(joined)
        if self._any_most_recent:
            self.latest.add(joined, self._most_recent)
        self.num_values = min(self.num_values + joined.num_values, INT64_MAX)
        self._note_folded(parts, partials)

    def _number_of(self, worker: str) -> int:
        number = self._worker_numbers.setdefault(worker, len(self.workers))
        if number == len(self.workers):
            self.workers.append(worker)
        return number

    def _grow(self) -> None:
        known = len(self.series)
        if known == len(self._is_noted):
            return
        aggregations = np.array(self.series.aggregations)
        self._most_recent = aggregations == _MOST_RECENT
        self._any_most_recent = bool(self._most_recent.any())
        self._is_noted = np.append(self._is_noted, np.zeros(known - len(self._is_noted), dtype=np.bool_))
        self.moments.grow(known)
        self.retained.grow(~self._most_recent)

    @property
    def weight(self) -> Weight:
        """About how much memory its values and buckets take."""
        return self.retained.weight

    @property
    def mantissa_bits(self) -> int:
        """The bits of mantissa in its buckets."""
        return self.retained.buckets.mantissa_bits

    def fold(self, mantissa_bits: int) -> None:
        """Keep no value any more, here and in time to come: only buckets of at most `mantissa_bits`."""
        self.retained.fold(mantissa_bits)

    def _note_not_finite(self, joined: Joined, batches: Sequence[tuple[Batch, str]]) -> None:
        # Once a series, not a segment: a training that diverged sends NaN in every one of them.
        rows = np.flatnonzero((joined.added < joined.counts) & ~self._is_noted[joined.touched])
        series = joined.touched[rows]
        self._is_noted[series] = True
        places, nums = joined.first_not_finite(rows)
        for at in np.argsort(places, kind="stable").tolist():
            batch, worker = batches[places[at]]
            key, num = self.series.keys[series[at]], int(nums[at])
            self._not_finite.append(NotFinite(key, worker, batch.step, num))

    def _note_folded(self, parts: Sequence[PartialPart], partials: Sequence[tuple[Partial, str]]) -> None:
        for (columns, table, _), (partial, worker) in zip(parts, partials, strict=True):
            for row in np.flatnonzero(table.num_nan + table.num_inf).tolist():
                column = columns[row]
                if not self._is_noted[column]:
                    self._is_noted[column] = True
                    first = table.nan_worker[row] or table.inf_worker[row] or worker
                    num = int(table.num_nan[row] + table.num_inf[row])
                    self._not_finite.append(NotFinite(self.series.keys[column], first, partial.step, num))

    def take_oddities(self) -> list[Oddity]:
        """Return what producers should be told of, each once a series, that was found since the last call."""
        table = self.series
        found: list[Oddity] = [*self._not_finite, *table.disagreements, *table.overflows]
        for said in (self._not_finite, table.disagreements, table.overflows):
            said.clear()
        return found

    def dump(self) -> bytes:
        """Return all of it, to the last bit, for `load`."""
        size = len(self.series)
        packed: bytes = msgpack.packb(
            (
                self.limits,
                self.num_values,
                self.workers,
                self.series.dump(),
                self.moments.dump(size),
                self.retained.dump(),
                self.latest.dump(),
            )
        )
        return packed

    @classmethod
    def load(cls, dumped: bytes, cache: SeriesCache) -> Accumulator:
        """Return what was dumped."""
        limits, num_values, workers, series, moments, retained, latest = msgpack.unpackb(dumped)
        accumulator = cls(Limits(*limits), cache)
        accumulator.num_values = num_values
        for worker in workers:
            accumulator._number_of(worker)
        accumulator.series.load(series)
        if len(accumulator.series):
            accumulator._grow()
        accumulator.moments.load(moments)
        accumulator.retained.load(retained)
        accumulator.latest.load(latest)
        return accumulator
