"""The console writer: each period on standard output, as a table or as one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from stats_aggregator_api import RunOptions, StatsPropertyType, StatSummary, StatsWriter

from .console_text import ELO_KEY, REWARD_KEY, TRAINING_KEY, period_line, period_table, property_lines
from .errors import OptionError
from .fields import HIDDEN_KEYS, period_of
from .options import expect_names, read_options
from .screen import Screen

STYLES = ("auto", "table", "line")
MAX_TABLE_KEYS = 30
"""More than these do not fit a screen: then it is one line."""

# All runs of a process print to the one standard output.
_SCREEN = Screen()


@dataclass(frozen=True)
class ConsoleOptions:
    """The table `[writers.console]`."""

    style: str = "auto"
    """table, line, or auto: a table on a terminal for up to MAX_TABLE_KEYS keys, else a line."""
    keys: Sequence[str] | None = None
    """Globs of the keys to show. None shows all, except that a line with a reward tells no others."""

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise OptionError(
                f"[writers.console] style = {self.style!r} is unknown; it may be {', '.join(STYLES)}"
            )
        if self.keys is not None:
            expect_names("[writers.console] keys", self.keys)


class ConsoleWriter(StatsWriter):
    """Prints each period of a run."""

    def __init__(self, run: str, options: ConsoleOptions, screen: Screen) -> None:
        """Print for `run` to `screen` until closed."""
        self._run = run
        self._options = options
        self._screen = screen
        self._start: int | None = None
        screen.enter(run)

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Print the period."""
        period = period_of(values)
        if self._start is None:
            self._start = period.start
        shown = {key: summary for key, summary in values.items() if self._shows(key)}
        if values and not shown and self._options.keys is not None:
            return
        if values and self._as_table(len(shown)):
            self._screen.show(*period_table(self._label(category), period, shown, values))
        else:
            if self._options.keys is None and (REWARD_KEY in shown or TRAINING_KEY in values):
                shown = {key: shown[key] for key in (REWARD_KEY, ELO_KEY) if key in shown}
            self._screen.show(period_line(self._label(category), period, shown, values, self._start))

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Print the property as an indented tree."""
        self._screen.show(*property_lines(self._label(category), property_type.value, value))

    def close(self) -> None:
        """Leave the screen to the others."""
        self._screen.leave(self._run)

    def _shows(self, key: str) -> bool:
        globs = self._options.keys
        return key not in HIDDEN_KEYS and (globs is None or any(fnmatchcase(key, glob) for glob in globs))

    def _as_table(self, number_of_keys: int) -> bool:
        if self._options.style == "auto":
            return self._screen.is_terminal and number_of_keys <= MAX_TABLE_KEYS
        return self._options.style == "table"

    def _label(self, category: str) -> str:
        return f"{self._run}/{category}" if self._screen.has_several_runs else category


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Register the console writer for a run."""
    options = read_options(ConsoleOptions, "console", run_options.plugin_options)
    return [ConsoleWriter(run_options.checkpoint_settings.run_id, options, _SCREEN)]
