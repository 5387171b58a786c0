"""check_writer: a plugin driven through everything that the daemon will ask of it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..aggregation import StatsPropertyType
from ..options import CheckpointSettings, RunOptions
from ..period import PeriodSummaries
from ..writer import StatsWriter
from .examples import example_summaries
from .surroundings import Surroundings

Factory = Callable[[RunOptions], StatsWriter | Sequence[StatsWriter]]

_HYPERPARAMETERS = {
    "trainer_type": "ppo",
    "hyperparameters": {"batch_size": 64, "learning_rate": 3e-4, "schedule": None, "normalize": True},
    "layers": [128, 128],
    "note": "50% | *not* <b>markup</b> [red] ☃",
    "empty": {},
}
_VALUES_SHOWN = 3


def check_writer(
    factory: Factory, options: Mapping[str, Any] | None = None, *, timeout_s: float = 60.0
) -> None:
    """Raise AssertionError, with a sentence that says which promise broke, unless the plugin keeps them all.

    `factory` is a registration function: it takes RunOptions and returns a writer or a list of writers.
    `options` becomes `run_options.plugin_options`. On a fresh thread, for each run of `example_summaries`,
    the plugin is made, given properties, raw values where it overrides `on_add_stat`, and every period twice,
    is closed, and made anew to go on, as after a restart of the daemon. It must

    - take every example without raising, and answer None;
    - leave what it is given as it was;
    - write only below the run's `write_path`, and delete nothing there when it is made anew;
    - leave no thread behind from one run to the next.

    The check works in a temporary directory, which is the working directory meanwhile.
    """
    failures: list[BaseException] = []

    def drive() -> None:
        try:
            _drive(factory, options or {}, Path.cwd().parent)
        except BaseException as error:  # noqa: BLE001 - SystemExit of a writer is a finding too
            failures.append(error)

    with _temporary_working_directory():
        thread = threading.Thread(target=drive, name="check_writer", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            raise AssertionError(f"the writer did not come to an end within {timeout_s:g} s")
    for error in failures:
        raise error


@contextmanager
def _temporary_working_directory() -> Iterator[None]:
    # Files written by a relative path must not litter the author's project, and must be found.
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="check_writer-", ignore_cleanup_errors=True) as root:
        working = os.path.join(root, "working")
        os.mkdir(working)
        os.chdir(working)
        try:
            yield
        finally:
            os.chdir(before)


def _drive(factory: Factory, options: Mapping[str, Any], root: Path) -> None:
    examples = example_summaries()
    # A library may keep a thread of its own from its first use on; those of a writer pile up.
    known: set[threading.Thread] | None = None
    for run in dict.fromkeys(example.period.run for example in examples):
        periods = [example for example in examples if example.period.run == run]
        half = len(periods) // 2
        # After a restart the last period comes again: its cursor may not have been stored in time.
        for life in (periods[:half], periods[half - 1 :]):
            _live(factory, options, root, life)
            left = set(threading.enumerate())
            _expect_same_threads(known, left)
            known = left


def _live(
    factory: Factory, options: Mapping[str, Any], root: Path, periods: Sequence[PeriodSummaries]
) -> None:
    """Make the plugin for the run of `periods`, call it for each, and close it."""
    settings = CheckpointSettings(run_id=periods[0].period.run, results_dir=str(root / "results"))
    run_options = RunOptions(checkpoint_settings=settings, plugin_options=options)
    around = Surroundings(root, Path(settings.write_path))
    writers = around.call("the registration function", factory, run_options)
    if isinstance(writers, StatsWriter):
        writers = [writers]
    _expect_writers(writers)
    for writer in writers:
        _properties(around, writer, periods[0].period.category)
    for values in periods:
        for writer in writers:
            _raw_values(around, writer, values)
        for _ in ("delivered", "delivered again"):
            for writer in writers:
                _write(around, writer, values)
    for writer in writers:
        _answers_none(around.call(f"{_name(writer)}.close()", writer.close), f"{_name(writer)}.close()")
    around.expect_nothing_deleted()


def _expect_same_threads(known: set[threading.Thread] | None, left: set[threading.Thread]) -> None:
    more = sorted(thread.name for thread in left - known) if known is not None else []
    if more:
        raise AssertionError(f"after close() threads are alive: {', '.join(more)}; join them in close()")


def _expect_writers(writers: object) -> None:
    if not isinstance(writers, Sequence) or not all(isinstance(writer, StatsWriter) for writer in writers):
        raise AssertionError(
            f"the registration function returned {writers!r:.200}; a list of StatsWriter is wanted"
        )
    if not writers:
        raise AssertionError("the registration function returned an empty list: there is no writer to check")


def _properties(around: Surroundings, writer: StatsWriter, category: str) -> None:
    for property_type, value in (
        (StatsPropertyType.HYPERPARAMETERS, _HYPERPARAMETERS),
        (StatsPropertyType.HYPERPARAMETERS, _HYPERPARAMETERS | {"layers": [64]}),
        (StatsPropertyType.SELF_PLAY, True),
    ):
        where = f"{_name(writer)}.add_property({category!r}, {property_type}, ...)"
        _answers_none(around.call(where, writer.add_property, category, property_type, value), where)


def _raw_values(around: Surroundings, writer: StatsWriter, values: PeriodSummaries) -> None:
    if type(writer).on_add_stat is StatsWriter.on_add_stat:
        return
    for key, summary in values.items():
        for value in summary.full_dist[:_VALUES_SHOWN]:
            arguments = values.period.category, key, value, summary.aggregation_method
            where = f"{_name(writer)}.on_add_stat{arguments!r:.300}"
            _answers_none(around.call(where, writer.on_add_stat, *arguments), where)


def _write(around: Surroundings, writer: StatsWriter, values: PeriodSummaries) -> None:
    period = values.period
    where = f"{_name(writer)}.write_stats({period.category!r:.80}, {len(values)} summaries, {period.step})"
    _answers_none(around.call(where, writer.write_stats, period.category, values, period.step), where)


def _answers_none(answer: object, where: str) -> None:
    if answer is not None:
        raise AssertionError(f"{where} returned {answer!r:.200}; a writer's methods return None")


def _name(writer: StatsWriter) -> str:
    return type(writer).__name__
