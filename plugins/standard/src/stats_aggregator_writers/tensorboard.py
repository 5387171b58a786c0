"""The TensorBoard writer: event files in `RESULTS_DIR/RUN/CATEGORY/`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2

from stats_aggregator_api import (
    Cause,
    Period,
    RunOptions,
    StatsPropertyType,
    StatSummary,
    StatsWriter,
    path_part,
)

from .drawn import Drawn
from .errors import OptionError
from .event_file import EventFile
from .events import EXTRAS, points, session_start, text_table
from .fields import period_of
from .options import expect_names, read_options

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorBoardOptions:
    """The table `[writers.tensorboard]`."""

    extra: Sequence[str] = ()
    """What is drawn for each key beside its headline value, as `KEY/NAME`; see events.EXTRAS."""

    def __post_init__(self) -> None:
        for name in expect_names("[writers.tensorboard] extra", self.extra):
            if name not in EXTRAS:
                raise OptionError(
                    f"[writers.tensorboard] extra has {name!r}; it may have {', '.join(EXTRAS)}"
                )


class TensorBoardWriter(StatsWriter):
    """Draws a point for each key and period, in a directory for each category."""

    def __init__(self, directory: str, extra: Sequence[str] = ()) -> None:
        """Write below `directory`, the run's own; `extra` are names of events.EXTRAS."""
        self._directory = directory
        self._extra = extra
        self._categories: dict[str, _Category] = {}

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Append the period's points in one write; they are durable at the return."""
        period = period_of(values)
        self._of(category).write(period, points(values, period, self._extra))

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Keep the property; it is written as text with the category's next points, at their step."""
        tag = property_type.name.replace("_", " ").capitalize()
        self._of(category).set_text(tag, text_table(tag, value))

    def _of(self, category: str) -> _Category:
        if category not in self._categories:
            directory = os.path.join(self._directory, path_part(category))
            self._categories[category] = _Category(category, directory)
        return self._categories[category]


class _Category:
    """The event file of one category, and what was last written to it."""

    def __init__(self, name: str, directory: str) -> None:
        self._name = name
        self._directory = directory
        self._file: EventFile | None = None
        self._period_id = ""
        self._drawn = Drawn()
        self._texts: dict[str, summary_pb2.Summary.Value] = {}
        self._texts_step: int | None = None  # where they stand; None: not all are written
        self._standstill_said = False

    def set_text(self, tag: str, text: summary_pb2.Summary.Value) -> None:
        self._texts[tag] = text
        self._texts_step = None

    def write(self, period: Period, summary: summary_pb2.Summary | None) -> None:
        if summary is None or period.id == self._period_id:
            return  # nothing to draw, or it is durable already
        drawn, step, wall_time_s = self._drawn, period.step, period.end / 1e9
        left_over = period.cause is Cause.LEFT
        if left_over:
            summary = drawn.missing(step, summary)
            if not summary.value:
                return
        fills_in = left_over and step < drawn.step
        restarts = not fills_in and self._restarts(step, summary)
        if step == drawn.step and not (restarts or left_over or drawn.has_left_over):
            self._say_standstill(step)
        texts_step = self._texts_step
        if not fills_in and (texts_step is None or (restarts and step <= texts_step)):
            summary.value.extend(self._texts.values())
            texts_step = step
        events = [session_start(step, wall_time_s)] if restarts else []
        # A restart hides the other points of its step too.
        shown = drawn.all_of(step, summary) if restarts else summary
        events.append(event_pb2.Event(wall_time=wall_time_s, step=step, summary=shown))
        file, self._file = self._file or EventFile(self._directory, period.end), None
        file.append(events)
        self._file = file
        self._period_id, self._texts_step = period.id, texts_step
        drawn.add(step, summary, left_over=left_over)

    def _restarts(self, step: int, summary: summary_pb2.Summary) -> bool:
        """Return whether TensorBoard must forget what it read at `step` and after.

        That may be this very period, a future that was rewound, or what was left over at this step.
        """
        return self._file is None or step < self._drawn.step or self._drawn.replaces_left_over(step, summary)

    def _say_standstill(self, step: int) -> None:
        if not self._standstill_said:
            self._standstill_said = True
            _LOG.warning(
                "%s: the step stands still at %d; TensorBoard shows one point a step, so later ones hide "
                "earlier ones. Report it with set_step, add_steps or write_stats(step)",
                self._name,
                step,
            )


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Register the TensorBoard writer for a run."""
    options = read_options(TensorBoardOptions, "tensorboard", run_options.plugin_options)
    return [TensorBoardWriter(run_options.checkpoint_settings.write_path, options.extra)]
