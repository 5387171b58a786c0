"""The W&B writer: each run is one run of Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stats_aggregator_api import Cause, RunOptions, StatsPropertyType, StatSummary, StatsWriter
from stats_aggregator_writers.fields import period_of
from stats_aggregator_writers.options import read_options

from .options import WandbOptions
from .rows import config, points, row
from .session import Session


class WandbWriter(StatsWriter):
    """Logs a row for each category and period, with the category's own step as its x axis."""

    def __init__(self, run: str, directory: str, options: WandbOptions) -> None:
        """Write as `run`, W&B's files below `directory`; the W&B run is opened with the first row."""
        self._run = run
        self._directory = directory
        self._options = options
        self._session: Session | None = None
        self._properties: dict[str, dict[str, Any]] = {}
        self._unsaid: set[str] = set()
        self._steps: dict[str, int] = {}  # the last of each name

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Log the period's row unless it was; it is durable in the run's file at the return."""
        period = period_of(values)
        found = points(values, period, self._options.extra)
        if period.cause is Cause.LEFT:  # what was left over: W&B draws a second point beside the first
            found = {name: value for name, value in found.items() if self._steps.get(name, -1) < step}
        if not found:
            return
        session, self._session = self._session or self._open(), None
        try:
            self._configure(session)
            session.append(category, period.id, row(found, period))
        except BaseException:
            session.abandon()  # one that failed is not used again
            raise
        self._session = session
        self._steps |= dict.fromkeys(found, step)

    def add_property(self, category: str, property_type: StatsPropertyType, value: Any) -> None:
        """Keep the property; it goes into the run's config with the next row."""
        name = property_type.name.lower()
        self._properties.setdefault(category, {})[name] = config(value)
        self._unsaid.add(category)

    def close(self) -> None:
        """Finish the run: online, this waits until all is uploaded."""
        if self._session is not None:
            self._configure(self._session)  # properties that no row came after
            self._session.close()

    def _configure(self, session: Session) -> None:
        for category in sorted(self._unsaid):
            session.configure(category, self._properties[category])
        self._unsaid.clear()

    def _open(self) -> Session:
        self._unsaid = set(self._properties)
        return Session(self._run, self._directory, self._options)


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Register the W&B writer for a run."""
    options = read_options(WandbOptions, "wandb", run_options.plugin_options)
    settings = run_options.checkpoint_settings
    return [WandbWriter(settings.run_id, settings.write_path, options)]
