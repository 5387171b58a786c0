"""CategoryBuffer: takes the values of one category and cuts them into chunks for the outbox."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import groupby
from typing import Any, TypeVar

from stats_aggregator_api import StatsAggregationMethod, name_fault

from .arguments import to_aggregation, to_property, to_step
from .chunk import Chunk, Name
from .columns import Column, Columns
from .complaints import shown
from .door import whole
from .floats import to_column, to_float
from .increments import Increments
from .lane import Note
from .outbox import Outbox
from .steps import Steps
from .wire import Closing, Kind

_METHOD = StatsAggregationMethod.__name__
MAX_COLUMNS = 4096
MAX_IDLE_CUTS = 120
_Entry = TypeVar("_Entry")


class CategoryBuffer:
    """All reporters of a category in one client share it, so that their calls are in one order.

    Any thread may call it; no call raises and none waits for the network. One that a signal handler makes
    while its thread is half way through another is made after that.
    """

    def __init__(self, category: str, closing: Closing, outbox: Outbox) -> None:
        self.category = category
        self.columns = Columns()
        self.increments = Increments()
        self._closing, self._closed = closing, False
        self.move_to(outbox)

    @property
    def places(self) -> list[dict[str, Iterator[Column]]]:
        """Where values go by aggregation and key, for the hot path."""
        return self.columns.places

    def move_to(self, outbox: Outbox) -> None:
        """Begin empty with `outbox`, as a forked child does. The tables stay the same objects."""
        self.columns.clear()
        self._outbox = outbox
        self._door = outbox.door
        self.steps = Steps(self.write, self.rewind, outbox.door.lock)
        self._lane = outbox.lane(self.category)
        outbox.history.add(self.columns)
        self._step: int | None = None
        self._new_step: int | None = None
        self.increments.clear()
        self._cold_values = 0
        self._begin = outbox.stamp()
        self._woke = False
        self._series: tuple[Name, ...] = ()

    def close_by_write(self) -> None:
        """End periods by WRITE from now on."""
        self._closing = Closing.WRITE

    @whole
    def close(self) -> None:
        """Take nothing more: later calls are counted."""
        self._closed = True
        self.columns.clear()

    def add(self, key: Any, value: Any, aggregation: Any) -> None:
        """Take one value of any type."""
        number = to_float(value)
        if number is None:
            self._not_numbers(1, key)
            return
        for column in _look_up(self.columns.places, key, aggregation) or ():
            column.append(number)
            return
        self._add(key, number, aggregation)

    @whole
    def _add(self, key: Any, number: float, aggregation: Any) -> None:
        column = self._column(key, aggregation)
        if column is not None:
            self._put_behind(column, array("d", [number]))
            self.columns.refill(column)

    def extend(self, key: Any, values: Any, aggregation: Any) -> None:
        """Take many values, copied before this returns."""
        found, faults = to_column(values)
        if faults:
            self._not_numbers(faults, key)
        if found:
            self._extend(key, found, aggregation)

    @whole
    def _extend(self, key: Any, found: array[float], aggregation: Any) -> None:
        column = self._column(key, aggregation)
        if column is not None:
            self._put_behind(column, found)

    def _put_behind(self, column: Column, found: array[float]) -> None:
        if column:  # what single calls added before comes before
            self._settle(column)
        if column.cold:
            column.cold.extend(found)
        else:
            column.cold = found
        self._outbox.counts.added += len(found)
        self._cold_values += len(found)
        self._cut_if_full()

    def _column(self, key: Any, aggregation: Any) -> Column | None:
        column = _look_up(self.columns.tables, key, aggregation)
        return self._new(key, aggregation) if column is None else column

    def _new(self, key: Any, aggregation: Any) -> Column | None:
        method = to_aggregation(aggregation)
        fault = name_fault(key) if isinstance(key, str) else f"is no text but {type(key).__name__}"
        if self._closed:
            self._outbox.counts.after_close += 1
            return None
        if fault or method is None:
            self._outbox.counts.bad_names += 1
            subject = ("key", shown(key)) if fault else ("aggregation", shown(aggregation))
            why = f"its key {fault}" if fault else f"its aggregation is {subject[1]}, which is no {_METHOD}"
            self._outbox.complaints.once(subject, "a stat was ignored: %s", why)
            return None
        column = self.columns.add(str.__str__(key), method)
        self._outbox.wake()
        return column

    def add_property(self, property_type: Any, value: Any) -> None:
        """Take a fact that is no number."""
        note = to_property(property_type, value)
        if note is not None:
            self._put_note(note)
            return
        with self._door.lock:
            self._outbox.counts.notes_lost += 1
        self._outbox.complaints.once(
            ("property", self.category),
            "a property of %r was ignored: it is larger than 900 kB, or %s is no StatsPropertyType",
            self.category,
            shown(property_type),
        )

    @whole
    def set_step(self, step: Any) -> None:
        """Take the absolute step."""
        self._step = self._new_step = self._checked(step, "set_step", self._step)
        self._wake_once()

    @whole
    def add_steps(self, steps: Any) -> None:
        """Take an increment of the step."""
        if checked := self._checked(steps, "add_steps", 0):
            self.increments.add(checked)
        self._wake_once()

    @whole
    def write(self, step: Any) -> None:
        """End the period: all values so far belong to it."""
        self._closing = Closing.WRITE
        checked = self._step = self._checked(step, "write_stats", self._step) or 0
        self._note(Note(0, Kind.WRITE, checked))
        self.columns.forget_history()

    @whole
    def rewind(self, step: Any) -> None:
        """End the period and let the step go back."""
        checked = self._checked(step, "rewind", None)
        if checked is not None:
            self._step, self._new_step = checked, None
            self._note(Note(0, Kind.REWIND, checked))

    @whole
    def _put_note(self, note: Note) -> None:
        self._note(note)

    def _note(self, note: Note) -> None:
        if self._closed:
            self._outbox.counts.after_close += 1
            return
        self._cut()
        self._outbox.put(self._lane, note._replace(arrival=self._outbox.arrival()))
        self._outbox.wake()

    def _wake_once(self) -> None:
        # Steps wait for the next cut; only a child that has begun with them must start its sender.
        if not self._woke:
            self._woke = True
            self._outbox.wake()

    def _checked(self, step: Any, call: str, otherwise: int | None) -> int | None:
        found = to_step(step)
        if found is not None:
            return found
        self._outbox.counts.bad_calls += 1
        self._outbox.complaints.once(
            (call, self.category),
            "%s(%s) of %r is ignored: a step is an integer from 0 up",
            call,
            shown(step),
            self.category,
        )
        return otherwise

    @whole
    def cut(self) -> None:
        """Hand all values and steps that came so far to the outbox, as one chunk if there are any."""
        self._cut()

    def _cut(self) -> None:
        self._outbox.counts.added += self.columns.settle()
        filled = [column for column in self.columns.all if column.cold]
        first, last = self._outbox.span_since(self._begin)
        self._begin = self._outbox.stamp()
        if self.columns.mixed:
            filled.sort(key=lambda column: column.name[1])
            groups = [list(group) for _, group in groupby(filled, lambda column: column.name[1])]
        else:
            groups = [filled] if filled else []
        for group in groups:
            self._put(group, first, last, moves_step=group is groups[-1])
        if not groups and (self._new_step is not None or self.increments):
            self._put([], first, last, moves_step=True)
        self._cold_values = 0

    @whole
    def tidy(self) -> None:
        """Forget series that are long unused where there are very many; called now and then."""
        self.columns.retire(MAX_COLUMNS, MAX_IDLE_CUTS)
        self._outbox.history.trim(self.columns)

    def own_values(self, key: str) -> tuple[array[float], StatsAggregationMethod]:
        """Return this worker's own values of `key` since the last WRITE, and how they are aggregated."""
        with self._door.lock:
            # Only a look: where a signal handler asks, its thread may be in the middle of anything.
            values, aggregation = self.columns.look(key)
            limit = self._outbox.history.limit()
        return values[-limit:], aggregation

    def _put(self, group: list[Column], first: int, last: int, *, moves_step: bool) -> None:
        series = tuple([column.name for column in group])
        # Most cuts find the same series: the waiting chunks share one tuple.
        self._series = self._series if self._series == series else series
        chunk = Chunk(
            arrival=self._outbox.arrival(),
            closing=int(self._closing),
            step=self._new_step if moves_step else None,
            steps=self.increments.take() if moves_step else 0,
            first=first,
            last=last,
            series=self._series,
            counts=array("I", [len(column.cold) for column in group]),
            values=b"".join([column.cold for column in group]),
        )
        if moves_step:
            self._new_step = None
        limit = self._outbox.history.limit()
        for column in group:
            self._outbox.history.keep(column, limit)
            column.cold = array("d")
        self._outbox.put(self._lane, chunk)

    def _settle(self, column: Column) -> None:
        added = column.settle()
        self._cold_values += added
        self._outbox.counts.added += added

    def _cut_if_full(self) -> None:
        if self._cold_values >= self._outbox.cut_values:
            self._cut()
            self._outbox.wake()

    def _not_numbers(self, count: int, key: Any) -> None:
        with self._door.lock:
            self._outbox.counts.not_numbers += count
        self._outbox.complaints.once(
            ("number", shown(key)),
            "a value of %s in %r was ignored: it is no number",
            shown(key),
            self.category,
        )


def _look_up(tables: list[dict[str, _Entry]], key: Any, aggregation: Any) -> _Entry | None:
    if aggregation.__class__ is StatsAggregationMethod:
        try:
            return tables[aggregation][key]
        except Exception:  # noqa: BLE001 - a new series, or what is no key: even its hash may raise anything
            pass
    return None
