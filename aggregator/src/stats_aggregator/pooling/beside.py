"""Beside: several small accumulators as one, for their summaries in one set of numpy calls.

A period of one series costs as many calls as one of thousands, so a thousand small periods that end together
would cost a thousand times as many. Their series are put side by side, by what `dump` and `load` say of them,
the form in which a checkpoint has them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from stats_aggregator_api.bucket import MANTISSA_BITS

from ..store.stored import SummaryRow
from .accumulators import Accumulator
from .segments import Ints
from .series import SeriesCache
from .summaries import SummaryRows

_SMALL_BYTES = 1 << 15
_SMALL_SERIES = 64
_BESIDE_SERIES = 256
"""About so many series come side by side: the engine waits while numpy works, and more save no time."""


class PeriodRows:
    """The rows of one accumulator, as `SummaryRows` has them, among those of others beside it."""

    def __init__(self, rows: _Shared, first: int, end: int) -> None:
        self._rows, self._first, self._end = rows, first, end

    def __len__(self) -> int:
        return self._end - self._first

    def __iter__(self) -> Iterator[SummaryRow]:
        return self._rows.between(self._first, self._end)


class _Shared:
    """Rows of several accumulators, of which some at a time are made, and kept until others are asked for."""

    def __init__(self, rows: SummaryRows) -> None:
        self._rows = rows
        self._left = iter(rows)
        self._next = 0

    def between(self, first: int, end: int) -> Iterator[SummaryRow]:
        """Yield the rows from `first` to `end`, which is not among them."""
        if first < self._next:  # they are gone through in order, and again from the start where that failed
            self._left, self._next = iter(self._rows), 0
        while self._next < end:
            row = next(self._left)
            self._next += 1
            if self._next > first:
                yield row


def summaries_of(accumulators: Iterable[Accumulator]) -> list[SummaryRows | PeriodRows]:
    """Close accumulators, and return the rows of each; they are made while they are gone through."""
    found: dict[int, SummaryRows | PeriodRows] = {}
    small: list[tuple[int, Accumulator]] = []
    num_series = 0
    for number, accumulator in enumerate(accumulators):
        if not _is_small(accumulator):
            found[number] = SummaryRows(accumulator)
            continue
        small.append((number, accumulator))
        num_series += max(len(accumulator.series), 1)
        if num_series >= _BESIDE_SERIES:
            found.update(_together(small))
            small, num_series = [], 0
    found.update(_together(small))
    return [found[number] for number in range(len(found))]


def _is_small(accumulator: Accumulator) -> bool:
    """Return whether it has few series and values, and nothing in buckets."""
    buckets_bytes, values_bytes = accumulator.weight
    return (
        len(accumulator.series) <= _SMALL_SERIES
        and values_bytes <= _SMALL_BYTES
        and buckets_bytes == 0
        and accumulator.mantissa_bits == MANTISSA_BITS
    )


def _together(small: Sequence[tuple[int, Accumulator]]) -> dict[int, SummaryRows | PeriodRows]:
    """Return the rows of small accumulators, which have numbers."""
    if len(small) < 2:
        return {number: SummaryRows(accumulator) for number, accumulator in small}
    together = _beside([accumulator for _, accumulator in small])
    seen = together.moments.seen(len(together.series))
    ends = np.cumsum([len(accumulator.series) for _, accumulator in small])
    rows = np.concatenate([[0], np.cumsum(seen)])[np.concatenate([[0], ends])].tolist()
    shared = _Shared(SummaryRows(together))
    return {
        number: PeriodRows(shared, first, end)
        for (number, _), first, end in zip(small, rows[:-1], rows[1:], strict=True)
    }


def _beside(accumulators: Sequence[Accumulator]) -> Accumulator:
    """Return an accumulator that has the series of these, one after the other, each as it is."""
    sizes = np.array([len(accumulator.series) for accumulator in accumulators])
    firsts = np.cumsum(sizes) - sizes
    together = Accumulator(accumulators[0].limits, SeriesCache())
    keys = [key for accumulator in accumulators for key in accumulator.series.keys]
    aggregations = [number for accumulator in accumulators for number in accumulator.series.aggregations]
    together.series.load([keys, aggregations, [""] * len(keys), False])
    for accumulator in accumulators:
        # Each has its own numbers still: their order decides who of several is named.
        together.workers.extend(accumulator.workers)
    num_workers = np.array([len(accumulator.workers) for accumulator in accumulators])
    numbers = np.cumsum(num_workers) - num_workers
    _put_moments(together, accumulators, sizes, numbers)
    _put_values(together, accumulators, firsts)
    _put_latest(together, accumulators, firsts, numbers)
    return together


def _put_moments(
    together: Accumulator, accumulators: Sequence[Accumulator], sizes: Ints, numbers: Ints
) -> None:
    """Take their moments; the workers of each begin at its one of `numbers`."""
    moments, size = together.moments, int(sizes.sum())
    moments.grow(size)
    moments.load(_joined([a.moments.dump(len(a.series)) for a in accumulators]))
    shifts = np.repeat(numbers, sizes)
    for workers in (moments.min_worker[:size], moments.max_worker[:size]):
        workers[:] = np.where(workers < 0, workers, workers + shifts)  # below 0 is no worker


def _put_values(together: Accumulator, accumulators: Sequence[Accumulator], firsts: Ints) -> None:
    """Take their values; the series of each begin at its one of `firsts`."""
    dumped = [accumulator.retained.dump() for accumulator in accumulators]
    retain_values, first_fate, _, bits = dumped[0][:4]
    stale_values = sum(each[2] for each in dumped)
    columns = []
    for at in (4, 7):  # whose values these are: those that are kept, and those on their way to buckets
        counts = np.array([len(each[at]) >> 3 for each in dumped])
        chunk = _joined([each[at : at + 3] for each in dumped])
        series = np.frombuffer(chunk[0], np.int64) + np.repeat(firsts, counts)
        columns += [series.tobytes(), *chunk[1:]]
    # A column of fates is longer than there are series; one without any has none.
    fates = [
        each[10][: len(accumulator.series)] for each, accumulator in zip(dumped, accumulators, strict=True)
    ]
    together.retained.load(
        [retain_values, first_fate, stale_values, bits, *columns, b"".join(fates), b"", b""]
    )


def _put_latest(
    together: Accumulator, accumulators: Sequence[Accumulator], firsts: Ints, numbers: Ints
) -> None:
    """Take the latest value of each worker; series and workers of each begin at `firsts` and `numbers`."""
    dumped = [accumulator.latest.dump() for accumulator in accumulators]
    some = [each for each in dumped if each]
    if not some:
        return
    counts = np.array([len(each[0]) >> 3 if each else 0 for each in dumped])
    series, workers, *others = _joined(some)
    whose = np.frombuffer(series, np.int64) + np.repeat(firsts, counts)
    who = np.frombuffer(workers, np.int64) + np.repeat(numbers, counts)
    together.latest.load([whose.tobytes(), who.tobytes(), *others])


def _joined(columns: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Return the columns of all, each one after the other."""
    return [b"".join(column) for column in zip(*columns, strict=True)]
