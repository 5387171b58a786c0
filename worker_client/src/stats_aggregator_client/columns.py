"""Columns: the values of a category by series, as they are added."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from .chunk import Name
from .floats import packed
from .newest import Newest

HOT_LIMIT = 1024
"""So many values of a series may be added without a further look; then the caller makes them compact."""


class Column(list[float]):
    """One series: the list itself holds what was just added, appended by any thread without a lock.

    `cold` holds what was taken off the list's front, `history` what was cut since the last WRITE.
    """

    __slots__ = ("cold", "history", "idle", "name")

    def __init__(self, name: Name) -> None:
        super().__init__()
        self.name = name
        self.cold: array[float] = array("d")
        self.history = Newest()
        self.idle = 0

    def settle(self) -> int:
        """Make what was added compact; return how many values that were. One thread at a time."""
        count = len(self)
        if count:
            # What other threads append meanwhile stands behind `count` and stays. No call between the last
            # two, and the last is whole: what a signal may raise here neither doubles nor loses a value.
            taken = packed(self[:count])
            del self[:count]
            self.cold.extend(taken)
        return count


class Columns:
    """All series of one category: tables by key for each aggregation, so that adding looks up once.

    `places` is for those who add: it gives a column HOT_LIMIT times and then no more until `refill`. So one
    step finds where a value goes and bounds how many wait there, whoever else runs or does not.
    """

    def __init__(self) -> None:
        self.tables: list[dict[str, Column]] = [{} for _ in StatsAggregationMethod]
        self.places: list[dict[str, Iterator[Column]]] = [{} for _ in StatsAggregationMethod]
        self.all: list[Column] = []
        self.mixed = False
        """Whether a key has two aggregations."""
        self._retired: list[Column] = []
        self._rounds = 0

    def add(self, key: str, aggregation: int) -> Column:
        """Return the column of the series, made if it is new."""
        column = self.tables[aggregation].get(key)
        if column is None:
            self.mixed = self.mixed or any(key in table for table in self.tables)
            column = Column((key, aggregation))
            self.all.append(column)
            self.tables[aggregation][key] = column
            self.refill(column)
        return column

    def refill(self, column: Column) -> None:
        """Let as many values be added to `column` as to a new one."""
        key, aggregation = column.name
        self.places[aggregation][key] = repeat(column, HOT_LIMIT)

    def look(self, key: str) -> tuple[array[float], StatsAggregationMethod]:
        """Return the values of `key` since the last WRITE, and the aggregation of the first of them.

        A key whose aggregation changed has several columns; one of another period may have no values now.
        """
        found: array[float] = array("d")
        aggregation = int(StatsAggregationMethod.AVERAGE)
        for column in list(self.all):
            if column.name[0] == key:
                values = column.history.in_order() + column.cold + array("d", column)
                aggregation = column.name[1] if values and not found else aggregation
                found += values
        return found, StatsAggregationMethod(aggregation)

    def settle(self) -> int:
        """Make all that was added compact; return how many values that were."""
        for column in self._retired:
            count = len(column)
            if count:
                self.add(*column.name).extend(column[:count])
                del column[:count]
        return sum([column.settle() for column in self.all])

    def hot_values(self) -> int:
        """Return how many values were added and not made compact yet."""
        return sum(map(len, list(self.all)))

    def waiting_values(self) -> int:
        """Return how many values were added and not cut yet. Nobody cuts meanwhile."""
        return sum(len(column) + len(column.cold) for column in list(self.all))

    def forget_history(self) -> None:
        """Forget what was cut: a WRITE came."""
        for column in self.all:
            column.history.clear()

    def clear(self) -> None:
        """Forget all series; the tables stay the same objects."""
        for tables in (self.tables, self.places):
            for table in tables:
                table.clear()
        self.all.clear()
        self._retired.clear()

    def retire(self, max_columns: int, max_idle: int) -> None:
        """Where there are more than `max_columns`, forget those found empty `max_idle` times running.

        A thread may still hold a column that has left its table: it stays in sight for as long again.
        """
        if len(self.all) <= max_columns:
            return
        for column in self.all:
            column.idle = 0 if column or column.cold else column.idle + 1
        self._rounds += 1
        if self._rounds < max_idle:
            return
        self._rounds = 0
        self._retired = [column for column in self.all if column.idle >= max_idle]
        self.all = [column for column in self.all if column.idle < max_idle]
        for column in self._retired:
            key, aggregation = column.name
            del self.tables[aggregation][key], self.places[aggregation][key]


class NullColumn(list[float]):
    """Takes nothing in."""

    def append(self, value: float) -> None:
        """Do nothing."""


class NullPlaces(dict[str, Any]):
    """Has a NullColumn for every key, without end."""

    _PLACES = repeat(NullColumn())

    def __missing__(self, key: str) -> Iterator[NullColumn]:
        return self._PLACES
