"""JoinedPartials: all PARTIALs of one group for one period, each series of each a segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bucketing import coarser_keys
from .order import Order, split_session
from .part_table import PartTable
from .segments import Floats, Ints, Segments

_NAMES: dict[np.ufunc, str] = {np.minimum: "min", np.maximum: "max"}


class PartialPart(NamedTuple):
    """One PARTIAL on its way into a period; `sender` is the number there of its session's worker."""

    columns: Ints
    table: PartTable
    sender: int


class JoinedPartials:
    """What a group's PARTIALs have for each series that they touch, as Joined has it of batches."""

    def __init__(self, parts: Sequence[PartialPart], number_of: Callable[[str], int]) -> None:
        """`number_of` gives the number in the period of a worker by name."""
        self._segments = Segments(np.concatenate([part.columns for part in parts]))
        self._parts = parts
        self._number_of = number_of
        tables = [part.table for part in parts]
        self._num: Ints = np.concatenate([table.num for table in tables])
        self._origin = self._floats("origin")
        self._mean_from_origin = self._floats("mean_from_origin")
        self._m2 = self._floats("m2")
        orders = [order for table in tables for order in table.last_order]
        self._order = _order_of(orders)
        self.num_values = sum(table.num_values for table in tables)
        self.touched = self._segments.touched
        per_series = self._segments.per_series
        self.added: Ints = per_series(np.add, self._num)
        self.num_nan: Ints = per_series(np.add, np.concatenate([table.num_nan for table in tables]))
        self.num_inf: Ints = per_series(np.add, np.concatenate([table.num_inf for table in tables]))
        with np.errstate(over="ignore"):  # what overflows is infinite, as it should be
            self.sums: Floats = per_series(np.add, self._floats("sum"))

    def _floats(self, name: str) -> Floats:
        column: Floats = np.concatenate([getattr(part.table, name) for part in self._parts])
        return np.where(self._num > 0, column, 0.0)

    @property
    def origin(self) -> Floats:
        """The origin of each series' first segment with a finite value; anything without one."""
        return self._origin[self._segments.winner(self._num > 0)]

    def spread(self, origin: Floats) -> tuple[Floats, Floats]:
        """Return mean - `origin` and M2."""
        group, per_series = self._segments.group, self._segments.per_series
        means = (self._origin - origin[group]) + self._mean_from_origin
        means = np.where(self._num > 0, means, 0.0)
        mean: Floats = per_series(np.add, self._num * means) / np.maximum(self.added, 1)
        deviation = np.where(self._num > 0, means - mean[group], 0.0)
        return mean, per_series(np.add, self._m2 + self._num * deviation * deviation)

    def extremes(self, reduce: np.ufunc, neutral: float) -> Floats:
        """Return the least or greatest value; `neutral` where none is finite."""
        extremes: Floats = self._segments.per_series(reduce, self._extremes_told(reduce, neutral))
        return extremes

    def senders(self, reduce: np.ufunc, extremes: Floats) -> Ints:
        """Return who sent these extremes first; anything where no value is finite."""
        has_it = self._extremes_told(reduce, np.nan) == extremes[self._segments.group]
        workers = np.concatenate([self._workers(part, f"{_NAMES[reduce]}_worker") for part in self._parts])
        return workers[self._segments.winner(has_it)]

    def _extremes_told(self, reduce: np.ufunc, neutral: float) -> Floats:
        return np.where(self._num > 0, self._floats(_NAMES[reduce]), neutral)

    def _workers(self, part: PartialPart, name: str) -> Ints:
        workers: Sequence[str | None] = getattr(part.table, name)
        numbers = [part.sender if worker is None else self._number_of(worker) for worker in workers]
        return np.array(numbers, dtype=np.int64)

    def newest(self) -> tuple[Order, Floats]:
        """Return the last finite value, and when and by whom it was sent; anything where there is none."""
        rank = np.where(self._num > 0, self._order.ranks(), -1)
        newest = self._segments.per_series(np.maximum, rank)
        segments = self._segments.winner(rank == newest[self._segments.group])
        return self._order.take(segments), self._floats("last")[segments]

    def latest(self, most_recent: NDArray[np.bool_]) -> tuple[Ints, Ints, Order, Floats]:
        """Return series, worker, order and value of the latest value of each worker where `most_recent`.

        A producer that says the series is none has told its last value alone.
        """
        series: list[int] = []
        workers: list[int] = []
        values: list[float] = []
        orders: list[tuple[int, bytes, int]] = []
        for part in self._parts:
            wanted = most_recent[part.columns] & (part.table.num > 0)
            told = {row for row, *_ in part.table.latest}
            lasts = [
                (row, "", float(part.table.last[row]), part.table.last_order[row])
                for row in np.flatnonzero(wanted).tolist()
                if row not in told
            ]
            for row, worker, value, order in [*part.table.latest, *lasts]:
                if wanted[row]:
                    series.append(int(part.columns[row]))
                    workers.append(self._number_of(worker) if worker else part.sender)
                    values.append(value)
                    orders.append(order)
        columns = np.array(series, dtype=np.int64), np.array(workers, dtype=np.int64)
        return *columns, _order_of(orders), np.array(values, dtype=np.float64)

    def buckets(self, mantissa_bits: int) -> tuple[Ints, Ints, Ints]:
        """Return the series, key and count of every bucket, of no more than `mantissa_bits`."""
        tables = [part.table for part in self._parts]
        series = [part.columns[part.table.bucket_series] for part in self._parts]
        keys = [coarser_keys(table.bucket_keys, table.mantissa_bits - mantissa_bits) for table in tables]
        counts = [table.bucket_counts for table in tables]
        return np.concatenate(series), np.concatenate(keys), np.concatenate(counts)

    @property
    def mantissa_bits(self) -> int:
        """The least of all."""
        return min(part.table.mantissa_bits for part in self._parts)


def _order_of(orders: Sequence[tuple[int, bytes, int]]) -> Order:
    return Order.of(
        [time for time, _, _ in orders],
        [split_session(session) for _, session, _ in orders],
        [seq for _, _, seq in orders],
    )
