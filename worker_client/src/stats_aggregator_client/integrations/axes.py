"""Axes: which category takes a value of a tag at a step, for code that names a step with each value.

A period of such code is one step: all that is logged at it, by all environments and ranks, makes one point.
But one script may count several things (training steps, updates, episodes), and a category has one step, its
x axis. A value of one counter must not end the period of another, nor be drawn at the other's step. Steps
are bare numbers; what gives another counter away is that it is **behind**: its tag goes on, and yet the
category is further. From then on that tag goes to `CATEGORY/SECTION` (its tag up to the first slash), where
the other tags of its counter will probably meet it, and where that is further too, to `CATEGORY/TAG`, where
nobody else is. A tag never comes back, so curves do not scatter; and where it goes follows from its name
alone, so that ranks that run the same code agree. Points before a counter was given away stand at the step at
which they were logged, in the first category.

A tag that is behind **itself** is no other counter. Environments that are a few steps apart, or threads, log
so: such a value counts to the step that its category is at. Where it goes back to the first step it ever had,
training has begun again, and the axis goes back with it.

A writer that is made where one before it in the process was closed goes on with what that one knew. But where
its first tag is behind itself, it is of another training, as of the next seed: then all of it goes to
`CATEGORY/2`, and so on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stats_aggregator_api import StatsPropertyType
from stats_aggregator_api.names import MAX_NAME_BYTES, UNSEEN

from ..arguments import to_step
from ..buffer import CategoryBuffer
from ..client import StatsClient
from ..complaints import Complaints, shown
from ..null import NullBuffer
from ..reporter import StatsReporter
from ..wire import INT64_MAX, Closing

MAX_TAGS = 10_000
"""Past so many, the tag met first is forgotten: it begins in the first category again."""
MAX_AXES = 64
"""Categories that one writer makes; past them a tag that is behind counts to the step of where it is."""


class Axis(NamedTuple):
    """A category whose periods are steps."""

    buffer: CategoryBuffer | NullBuffer
    reporter: StatsReporter


class _Place:
    """Where a tag has come to: its axis, its first step there, and its latest."""

    __slots__ = ("axis", "first", "last", "level")

    def __init__(self, axis: Axis) -> None:
        self.axis, self.level = axis, 0
        self.first, self.last = INT64_MAX, -1


class Axes:
    """The categories of one writer; `begins` is the step that a resumed training goes on from."""

    def __init__(self, client: StatsClient, category: str, begins: Any = None) -> None:
        self._client, self._category = client, category_name(category)
        self._begins = to_step(begins)
        self._axes: dict[str, Axis] = {}
        self._places: dict[str, _Place] = {}
        self._complaints = Complaints()
        self._facts: Any = None
        self.main = self._axis(self._category)
        self._follows = self._begins is None and self.main.buffer.steps.left is not None
        if self._begins is not None:
            self.main.buffer.steps.rewind(self._begins)

    def at(self, tag: str, step: Any) -> StatsReporter:
        """Return the reporter for a value of `tag`, its period that of `step`.

        A value without a step counts to the step that the writer's first category is at, or to a period of
        time where it is at none.
        """
        if not isinstance(tag, str):
            return self.main.reporter  # which counts it, and says so
        place = self._places.get(tag)
        if step.__class__ is int and place is not None:
            steps = place.axis.buffer.steps
            if step == place.last == steps.at and steps.is_open:
                return place.axis.reporter
        found = to_step(step) if step is not None else None
        if found is not None:
            return self._moved(tag, place, found)
        if step is not None:
            self._complaints.once("step", "%s is no step: %s counts without one", shown(step), tag)
        axis = place.axis if place is not None else self.main
        axis.buffer.steps.is_open = True
        return axis.reporter

    def end(self) -> None:
        """End the period of the step that each axis is at."""
        for axis in list(self._axes.values()):
            axis.buffer.steps.end()

    def leave(self) -> None:
        """End the period of the step that each axis is at, as the last of this writer."""
        self.end()
        self.main.buffer.steps.left = self._places

    def tell(self, facts: Any) -> None:
        """Tell hyperparameters."""
        self._facts = facts
        if not self._follows:
            self.main.reporter.add_property(StatsPropertyType.HYPERPARAMETERS, facts)

    def _begin(self, tag: str, step: int) -> None:
        """Let the first step of this writer say whether it goes on where one before it ended."""
        self._follows, first = False, self._category
        for number in range(2, MAX_AXES):
            self._places = self.main.buffer.steps.left or {}
            if tag not in self._places or step >= self._places[tag].last:
                break
            self._category = category_name(f"{first}/{number}")
            self.main = self._axis(self._category)
        for place in self._places.values():
            self._axes[place.axis.reporter.category] = place.axis
        if self._facts is not None:
            self.tell(self._facts)

    def _moved(self, tag: str, place: _Place | None, step: int) -> StatsReporter:
        if self._follows:
            self._begin(tag, step)
            place = self._places.get(tag)
        if place is None:
            if len(self._places) >= MAX_TAGS:
                self._places.pop(next(iter(self._places)), None)
            place = self._places.setdefault(tag, _Place(self.main))
        if place.last > step:
            self._go_back(tag, place, step)
        else:
            while self._is_behind(place, step) and place.level < 2 and len(self._axes) < MAX_AXES:
                self._leave(tag, place, step)
        place.first = min(place.first, step)
        place.last = max(place.last, step)
        axis = place.axis
        if axis.buffer.steps.at is None:
            axis.buffer.close_by_write()
        if not axis.buffer.steps.reach(step):
            self._complaints.once(
                "fast",
                "the steps of %s come faster than 40 a second: several make one point, at the last of them",
                axis.reporter.category,
            )
        return axis.reporter

    @staticmethod
    def _is_behind(place: _Place, step: int) -> bool:
        at = place.axis.buffer.steps.at
        return at is not None and step < at

    def _leave(self, tag: str, place: _Place, step: int) -> None:
        section, slash, _ = tag.partition("/")
        place.level = 1 if place.level == 0 and slash and section else 2
        name = category_name(f"{self._category}/{section if place.level == 1 else tag}")
        is_new = name not in self._axes
        place.axis = self._axis(name)
        if is_new and self._begins is not None:
            place.axis.buffer.steps.rewind(step)

    def _go_back(self, tag: str, place: _Place, step: int) -> None:
        if step <= place.first < place.last:
            place.first = place.last = step
            if self._is_behind(place, step):
                place.axis.buffer.steps.rewind(step)
        else:
            self._complaints.once(
                ("back", place.axis.reporter.category),
                "%s went back from step %d to %d: until it is further again, its values count to the step "
                "that %s is at. For a training that goes on from a checkpoint name its step at the start",
                tag,
                place.last,
                step,
                place.axis.reporter.category,
            )

    def _axis(self, category: str) -> Axis:
        if category not in self._axes:
            buffer = self._client.buffer(category, Closing.TIME)
            self._axes[category] = Axis(buffer, StatsReporter.over(category, buffer))
        return self._axes[category]


def category_name(text: object) -> str:
    """Return `text` as a category may be called."""
    return UNSEEN.sub("_", str(text)).encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "training"
