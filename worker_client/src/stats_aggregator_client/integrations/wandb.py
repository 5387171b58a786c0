"""Weights & Biases' `init`, `log`, `finish` and `alert`, that report to a daemon.

`log` without a step ends a step of its own each time, as W&B's; with one, all that is logged at it makes one
point. Calls of all processes whose category is the same pool: that is the group, else the name, else the
project. What a script counts in several ways, and steps that go back, are as `axes` says; nothing is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from ..arguments import to_step
from ..client import StatsClient
from ..complaints import Complaints
from .axes import Axes
from .shared import Config, Nothing, Summary, add_all, default_client, script_name

_complaints = Complaints()


class Run:
    """One run of W&B: a source of its category."""

    def __init__(
        self,
        project: str | None = None,
        name: str | None = None,
        group: str | None = None,
        config: Any = None,
        client: StatsClient | None = None,
    ) -> None:
        self.project, self.name, self.group = project, name, group
        self.id = name or group or project or script_name()
        self._axes = Axes(client or default_client(), group or name or project or script_name())
        self.config = Config(self._axes.tell, config)
        self.step = 0
        """The step of the next `log` without one."""
        self.summary = Summary(self._sum_up)
        """What the script sets: its numbers count to the step at hand. What was logged is with the daemon."""

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, **_: Any
    ) -> None:
        """Add each number, at `step`; nested names have `/` between them, arrays are distributions.

        `commit` ends the step; as in W&B it is true where there is no `step`.
        """
        at = self.step if step is None else step
        add_all(self._axes, data, at)
        self.step = max(self.step, to_step(at) or 0)
        if commit or (commit is None and step is None):
            self._axes.end()
            self.step += 1

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        """Do as `log`, by MLflow's name."""
        self.log(metrics, step)

    def log_scalar(self, name: str, value: Any, step: int | None = None) -> None:
        """Add one number."""
        self.log({name: value}, step)

    def alert(self, title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
        """Log a warning, once a title, and count it as `alert/TITLE`: by the daemon's writers it is seen."""
        _complaints.once(("alert", str(title)), "%s: %s", title, text)
        key = f"alert/{title}"
        self._axes.at(key, self.step).add_stat(key, 1.0, StatsAggregationMethod.SUM)

    def finish(self, *_: Any, **__: Any) -> None:
        """End the step. What waits is delivered meanwhile, at the latest when the process ends."""
        global run
        self._axes.leave()
        if run is self:
            run = None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def __getattr__(self, name: str) -> Nothing:
        if name.startswith("_"):
            raise AttributeError(name)
        return left_out(name)

    def _sum_up(self, facts: Mapping[str, Any]) -> None:
        add_all(self._axes, facts, self.step)


class _Histogram(Nothing):
    """An array is a distribution as it is."""

    def __call__(self, sequence: Any = None, *_: Any, **__: Any) -> Any:
        """Return the values; ready counts and edges are left out."""
        return left_out("Histogram(np_histogram=...)") if sequence is None else sequence


Histogram = _Histogram()

run: Run | None = None
"""The run of the last `init`, until `finish`."""


def init(
    project: str | None = None,
    name: str | None = None,
    group: str | None = None,
    config: Any = None,
    *,
    mode: str | None = None,
    reinit: Any = None,
    client: StatsClient | None = None,
    **_: Any,
) -> Run:
    """Begin a run; `config` becomes hyperparameters. What only concerns W&B's server is not used.

    Where one was begun and not finished, that is returned, as W&B's does: `reinit` says otherwise.
    """
    global run
    if run is not None and reinit not in (True, "finish_previous", "create_new"):
        return run
    if (mode or os.environ.get("WANDB_MODE")) == "disabled":
        client = StatsClient("off")
    if reinit == "create_new":
        return Run(project, name, group, config, client)
    finish()
    run = Run(project, name, group, config, client)
    return run


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, **_: Any) -> None:
    """Add each number of `data` to the run; see `Run.log`."""
    _current().log(data, step, commit)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
    """Do as `log`, by MLflow's name."""
    _current().log_metrics(metrics, step)


def log_scalar(name: str, value: Any, step: int | None = None) -> None:
    """Add one number to the run."""
    _current().log_scalar(name, value, step)


def alert(title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
    """Log a warning, and count it; see `Run.alert`."""
    _current().alert(title, text, level, wait_duration)


def finish(*_: Any, **__: Any) -> None:
    """End the run, if there is one."""
    if run is not None:
        run.finish()


def __getattr__(name: str) -> Any:
    """Return the config of the run; of W&B's other functions and classes what does nothing."""
    if name in ("config", "summary"):
        return getattr(_current(), name)
    if name.startswith("_"):
        raise AttributeError(name)
    return left_out(name)


def left_out(name: str) -> Nothing:
    """Return what takes the place of something of W&B's that a daemon has not."""
    _complaints.once(
        ("left out", name), "wandb.%s is left out: a daemon takes numbers and their config", name
    )
    return Nothing()


def _current() -> Run:
    return run or init()
