"""check_writer: passes a good plugin, and says of a bad one which promise it breaks."""

import math
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from stats_aggregator_api import (
    Cause,
    PeriodSummaries,
    RunOptions,
    StatsAggregationMethod,
    StatsWriter,
    path_part,
)
from stats_aggregator_api.testing import (
    MemoryWriter,
    check_writer,
    example_period,
    example_summaries,
    summarize,
)


class GoodWriter(StatsWriter):
    """Appends a line for each period to a file of its category."""

    def __init__(self, run_options: RunOptions) -> None:
        self.path = Path(run_options.checkpoint_settings.write_path)

    def write_stats(self, category, values, step):
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / path_part(category), "a", encoding="utf-8") as file:
            file.write(f"{step} {len(values)}\n")


def test_a_good_writer_passes_alone_and_in_a_list():
    check_writer(GoodWriter)
    check_writer(lambda run_options: [GoodWriter(run_options), MemoryWriter()])


def test_the_working_directory_is_the_same_afterwards():
    before = os.getcwd()
    check_writer(GoodWriter)
    with pytest.raises(AssertionError):
        check_writer(lambda run_options: None)
    assert os.getcwd() == before


def test_the_plugin_gets_its_options():
    seen = []

    def factory(run_options):
        seen.append(run_options.plugin_options)
        return MemoryWriter()

    check_writer(factory, {"url": "x"})
    assert seen
    assert all(options == {"url": "x"} for options in seen)


def test_a_plugin_is_called_as_the_contract_promises():
    threads, made = set(), []

    class Witness(MemoryWriter):
        def __init__(self, run_options):
            super().__init__()
            self.run = run_options.checkpoint_settings.run_id
            made.append(self)
            threads.add(threading.get_ident())

        def write_stats(self, category, values, step):
            super().write_stats(category, values, step)
            threads.add(threading.get_ident())

        def close(self):
            assert not self.closed
            super().close()
            threads.add(threading.get_ident())

    check_writer(Witness)
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    assert all(writer.closed and writer.properties and writer.stats for writer in made)
    assert all(period.period.run == writer.run for writer in made for period in writer.periods)
    wanted = {example.period.id for example in example_summaries()}
    assert {values.period.id for writer in made for values in writer.periods} == wanted
    # Each run lives twice, and begins its second life with the last period of the first.
    first, second, *_ = made
    assert first.run == second.run
    assert first.periods[-1] is second.periods[0] or first.periods[-1].period == second.periods[0].period


def writes(method):
    """Return the factory of a writer whose write_stats is `method`."""
    return lambda run_options: type("Bad", (StatsWriter,), {"write_stats": method})()


def with_method(**methods):
    return lambda run_options: type("Bad", (MemoryWriter,), methods)()


def raises_on(condition):
    def write_stats(self, category, values, step):
        if condition(category, values, step):
            raise RuntimeError("cannot do this")

    return writes(write_stats)


def raises_when_seen_twice(run_options):
    seen = set()

    def write_stats(self, category, values, step):
        if values.period.id in seen:
            raise KeyError("duplicate")
        seen.add(values.period.id)

    return writes(write_stats)(run_options)


CANNOT_TAKE = {
    "an empty period": lambda category, values, step: not values,
    "no finite value": lambda category, values, step: any(math.isnan(s.mean) for s in values.values()),
    "infinities": lambda category, values, step: any(s.num_inf for s in values.values()),
    "no full_dist": lambda category, values, step: any(s.num and not s.full_dist for s in values.values()),
    "a sum": lambda category, values, step: any(
        s.aggregation_method is StatsAggregationMethod.SUM for s in values.values()
    ),
    "a long name": lambda category, values, step: len(category) > 255,
    "dots": lambda category, values, step: category == "..",
    "unicode": lambda category, values, step: not category.isascii(),
    "sections": lambda category, values, step: any(key.count("/") > 2 for key in values),
    "a missing worker": lambda category, values, step: values.period.workers_reporting < 4,
}


@pytest.mark.parametrize("name", CANNOT_TAKE)
def test_a_writer_that_cannot_take_an_example_is_found(name):
    with pytest.raises(AssertionError, match=r"write_stats\(.*raised RuntimeError: cannot do this"):
        check_writer(raises_on(CANNOT_TAKE[name]))


def test_a_writer_that_cannot_take_a_step_back_is_found():
    steps = []

    def goes_back(category, values, step):
        steps.append(step)
        return step < max(steps)

    with pytest.raises(AssertionError, match="raised RuntimeError"):
        check_writer(raises_on(goes_back))


def test_a_writer_that_cannot_take_a_period_twice_is_found():
    with pytest.raises(AssertionError, match="raised KeyError: 'duplicate'"):
        check_writer(raises_when_seen_twice)


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (writes(lambda *_: True), r"write_stats\(.*returned True; a writer's methods return None"),
        (with_method(add_property=lambda *_: 1), r"add_property\(.*returned 1"),
        (with_method(on_add_stat=lambda *_: 1), r"on_add_stat\(.*returned 1"),
        (with_method(close=lambda _: 1), r"close\(\) returned 1"),
        (with_method(close=lambda _: sys.exit(3)), r"close\(\) raised SystemExit: 3"),
        (lambda _: None, "registration function returned None; a list of StatsWriter is wanted"),
        (lambda _: ["console"], "a list of StatsWriter is wanted"),
        (lambda _: [], "returned an empty list"),
        (lambda _: 1 / 0, "the registration function raised ZeroDivisionError"),
        (
            lambda _: signal.signal(signal.SIGTERM, signal.SIG_DFL),
            "the registration function raised ValueError: signal only works in main thread",
        ),
    ],
)
def test_a_wrong_answer_or_a_raise_is_found_and_named(factory, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_writer(factory)


def changes_period(self, category, values, step):
    values.period = example_period("another")


def changes_summaries(self, category, values, step):
    values._summaries.clear()


def changes_a_summary(self, category, values, step):
    for summary in values.values():
        object.__setattr__(summary, "mean", 0.0)


@pytest.mark.parametrize("method", [changes_period, changes_summaries, changes_a_summary])
def test_a_writer_that_changes_what_it_is_given_is_found(method):
    with pytest.raises(AssertionError, match="changed the PeriodSummaries it was given"):
        check_writer(writes(method))


def test_a_writer_that_changes_a_property_is_found():
    def add_property(self, category, property_type, value):
        if isinstance(value, dict):
            value["hyperparameters"].pop("batch_size", None)

    with pytest.raises(AssertionError, match="changed the dict it was given"):
        check_writer(with_method(add_property=add_property))


def test_reading_percentiles_is_no_change():
    def write_stats(self, category, values, step):
        for summary in values.values():
            summary.percentile(50)

    check_writer(writes(write_stats))


def test_a_writer_that_lets_names_out_of_its_directory_is_found():
    class Escapes(GoodWriter):
        def write_stats(self, category, values, step):
            if category == "../../escaped":
                with open(self.path / "../escaped", "w", encoding="utf-8") as file:
                    file.write("x")
            else:
                super().write_stats(category, values, step)

    with pytest.raises(AssertionError, match="wrote outside of the run's write_path: results/escaped"):
        check_writer(Escapes)


def test_a_writer_that_writes_to_the_working_directory_is_found():
    def write_stats(self, category, values, step):
        Path("stats.txt").write_text("x")

    with pytest.raises(AssertionError, match=r"write_path: working/stats\.txt"):
        check_writer(writes(write_stats))


def test_a_writer_that_begins_by_deleting_what_was_there_is_found():
    class Deletes(GoodWriter):
        def __init__(self, run_options):
            super().__init__(run_options)
            for path in self.path.glob("*"):
                path.unlink()

    with pytest.raises(AssertionError, match=r"made anew deleted .*; an existing run is always resumed"):
        check_writer(Deletes)


def test_a_writer_that_leaves_a_thread_behind_is_found():
    stop = threading.Event()

    class LeavesThread(MemoryWriter):
        def close(self):
            threading.Thread(target=stop.wait, name="uploader").start()

    try:
        with pytest.raises(AssertionError, match="threads are alive: uploader; join them in close"):
            check_writer(lambda run_options: LeavesThread())
    finally:
        stop.set()


def test_a_library_may_keep_a_thread_of_its_own():
    stop = threading.Event()
    kept = threading.Thread(target=stop.wait, name="library")

    class UsesLibrary(MemoryWriter):
        def write_stats(self, category, values, step):
            if not kept.is_alive():
                kept.start()

    try:
        check_writer(lambda run_options: UsesLibrary())
        assert kept.is_alive()
    finally:
        stop.set()


def test_a_writer_that_never_returns_is_found():
    stop = threading.Event()
    try:
        with pytest.raises(AssertionError, match=r"did not come to an end within 0\.2 s"):
            check_writer(with_method(write_stats=lambda *_: stop.wait() and None), timeout_s=0.2)
    finally:
        stop.set()


def test_memory_writer_refuses_what_a_daemon_would_never_send():
    writer = MemoryWriter()
    values = PeriodSummaries(example_period(step=1), {"a": summarize([1.0])})
    with pytest.raises(TypeError, match="a PeriodSummaries is promised"):
        writer.write_stats("3DBall", dict(values), 1)
    with pytest.raises(ValueError, match="step 2 are not those"):
        writer.write_stats("3DBall", values, 2)
    writer.write_stats("3DBall", values, 1)
    assert writer.periods == [values]


def test_the_examples_cover_what_they_promise():
    examples = example_summaries()
    ids = [example.period.id for example in examples]
    summaries = [summary for example in examples for summary in example.values()]
    assert len({example.period.run for example in examples}) == 2
    assert len(set(ids)) < len(ids)
    assert {summary.aggregation_method for summary in summaries} == set(StatsAggregationMethod)
    assert any(not example for example in examples)
    assert any(summary.num == 0 and summary.num_nan for summary in summaries)
    assert any(summary.num and not summary.exact and not summary.full_dist for summary in summaries)
    steps = [example.period.step for example in examples if example.period.category == "3DBall"]
    assert steps != sorted(steps)
    periods = [example.period for example in examples]
    assert {len(period.missing) for period in periods} == {0, 1, 20}
    (at,) = (at for at, period in enumerate(periods) if period.cause is Cause.LEFT)
    again = [
        example
        for example in examples[at + 1 :]
        if (example.period.run, example.period.category) == (periods[at].run, periods[at].category)
    ]
    assert [example.period.step for example in again] == [periods[at].step]
    assert examples[at].keys() & again[0].keys()
    assert examples[at].keys() - again[0].keys()
