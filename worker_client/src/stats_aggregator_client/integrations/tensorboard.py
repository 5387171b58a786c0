"""TensorBoard's `SummaryWriter` as PyTorch and tensorboardX have it, that reports to a daemon.

All values of one step make one point, also those of several ranks; see `axes` for what one step is where a
script counts several things. The daemon ends a step when each rank that has ended one before has ended it,
or 2 seconds after the first: ranks that go step by step pool exactly. Where they drift apart, and at the
first step, before the daemon can know for whom to wait, a value may count to the next one. None is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from ..client import StatsClient
from ..complaints import Complaints
from .axes import Axes
from .shared import default_client, facts_of, flat, script_name

_REAL = ("torch.utils.tensorboard", "tensorboardX")


class SummaryWriter:
    """Takes what a script logs for TensorBoard. No call raises because of us, nor waits for the network.

    The category is `log_dir` without a leading `runs/`, else the script's name: writers that shall pool, as
    those of several ranks, have the same, so it has no time and no rank in it. What is no number (images,
    videos, graphs) goes to a real SummaryWriter in `log_dir`, where one is installed.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        logdir: str | os.PathLike[str] | None = None,
        category: str | None = None,
        client: StatsClient | None = None,
        **others: Any,
    ) -> None:
        """Report to `category`, by `client` or the default one.

        `purge_step` is the step from which a resumed training goes on. `logdir` is tensorboardX's name.
        What only concerns event files is taken for a real SummaryWriter.
        """
        chosen = log_dir or logdir
        self.log_dir = os.fspath(chosen) if chosen else os.path.join("runs", script_name() + comment)
        self.logdir = self.log_dir
        self._files = {
            "purge_step": purge_step,
            "max_queue": max_queue,
            "flush_secs": flush_secs,
            "filename_suffix": filename_suffix,
        }
        self._axes = Axes(client or default_client(), category or category_of(self.log_dir), purge_step)
        self._facts: dict[str, Any] = {}
        self._real: Any = None
        self._has_looked, self._looking = False, Lock()
        self._complaints = Complaints()

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        """Add one value to the mean of `tag` at `global_step`."""
        self._axes.at(tag, global_step).add_stat(tag, scalar_value)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, *_: Any, **__: Any
    ) -> None:
        """Add one value to each `main_tag/tag`."""
        for tag, value in flat(tag_scalar_dict, main_tag):
            self.add_scalar(tag, value, global_step)

    def add_histogram(self, tag: str, values: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        """Add values, an array or tensor of any shape, to the distribution of `tag` at `global_step`."""
        values = values.detach() if hasattr(values, "detach") else values
        values = values.cpu() if hasattr(values, "cpu") else values
        self._axes.at(tag, global_step).add_stats(tag, values, StatsAggregationMethod.HISTOGRAM)

    def add_text(self, tag: str, text_string: str, *_: Any, **__: Any) -> None:
        """Tell a fact: a table of two columns in Markdown becomes its rows, other text stands as it is."""
        rows = _rows(text_string)
        self._tell(rows if rows and tag == "hyperparameters" else {str(tag): rows or text_string})

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: Any = None,
        **_: Any,
    ) -> None:
        """Tell hyperparameters, and add one value to each metric."""
        self._tell(hparam_dict)
        for tag, value in flat(metric_dict):
            self.add_scalar(tag, value, global_step)

    def flush(self) -> None:
        """End the step, so that its point is drawn; to be called between steps."""
        self._axes.end()
        if self._real is not None:
            self._real.flush()

    def close(self) -> None:
        """End the step. What waits is delivered meanwhile, at the latest when the process ends."""
        self._axes.leave()
        if self._real is not None:
            self._real.close()

    def get_logdir(self) -> str:
        """Return where a real SummaryWriter writes what is no number."""
        return self.log_dir

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of a real SummaryWriter, or one that does nothing."""
        if not name.startswith("add_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with self._looking:  # another thread may be about to make it
            if not self._has_looked:
                self._real, self._has_looked = self._make_real(), True
        found: Callable[..., Any] | None = getattr(self._real, name, None)
        if found is not None:
            return found
        self._complaints.once(
            name,
            "%s is left out: a daemon takes numbers, and no %s is there for it",
            name,
            " or ".join(_REAL),
        )
        return lambda *_, **__: None

    def _make_real(self) -> Any:
        for module in _REAL:
            try:
                return import_module(module).SummaryWriter(self.log_dir, **self._files)
            except ImportError:
                continue
            except Exception as error:  # noqa: BLE001 - a directory that cannot be written stops no training
                self._complaints.once("real", "the SummaryWriter of %s cannot begin: %s", module, error)
        return None

    def _tell(self, facts: Any) -> None:
        self._facts.update(facts_of(facts))
        self._axes.tell(self._facts)


def category_of(log_dir: str) -> str:
    """Return the category of a directory: its path as seen from here, without a leading `runs/`."""
    path = os.path.normpath(log_dir)
    here = os.getcwd() + os.sep
    path = path[len(here) :] if path.startswith(here) else path
    parts = [part for part in Path(path).as_posix().split("/") if part not in ("", ".")]
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] == "runs" else parts)


def _rows(text: Any) -> dict[str, str]:
    """Return the rows of a table of two columns in Markdown, as scripts write their hyperparameters."""
    lines = [line.strip() for line in str(text).strip().splitlines()]
    rows = [line.strip("|").split("|", 1) for line in lines if line.startswith("|") and line.count("|") >= 2]
    if len(rows) < len(lines) or len(rows) < 3 or set(lines[1]) - set("|-: "):
        return {}
    return {name.strip(): value.strip() for name, value in rows[2:]}
