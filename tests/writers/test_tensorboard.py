"""The TensorBoard writer, read back as TensorBoard reads."""

import logging
import math
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator,
)
from tensorboard.compat.proto import event_pb2
from tensorboard.util import tensor_util

from stats_aggregator_api import (
    Cause,
    CheckpointSettings,
    PeriodSummaries,
    RunOptions,
    StatsAggregationMethod,
    StatsPropertyType,
    path_part,
)
from stats_aggregator_api.testing import check_writer, example_period, example_summaries, summarize
from stats_aggregator_api.testing.examples import RUN
from stats_aggregator_writers.errors import OptionError
from stats_aggregator_writers.events import EXTRAS, histogram
from stats_aggregator_writers.tensorboard import writers

EVERYTHING = {"scalars": 0, "histograms": 0, "compressedHistograms": 0, "tensors": 0, "images": 0}
HYPERPARAMETERS = StatsPropertyType.HYPERPARAMETERS


def made(tmp_path, **options):
    settings = CheckpointSettings(run_id=RUN, results_dir=str(tmp_path))
    return writers(RunOptions(checkpoint_settings=settings, plugin_options=options))[0]


def write(writer, *points, category="3DBall"):
    """Write a period for each (ordinal, step, value of the key `a`)."""
    for ordinal, step, value in points:
        values = {"a": summarize([value])} if value is not None else {}
        period = example_period(category, ordinal, step=step)
        writer.write_stats(category, PeriodSummaries(period, values), step)


def directory(tmp_path, category="3DBall"):
    return tmp_path / RUN / path_part(category)


def shown(tmp_path, tag="a", category="3DBall"):
    """Return (step, value) of each point that TensorBoard shows, by both of its readers in Python."""
    old = EventAccumulator(str(directory(tmp_path, category)), size_guidance=EVERYTHING).Reload()
    new = PluginEventAccumulator(str(directory(tmp_path, category)), size_guidance={"tensors": 0}).Reload()
    old_points = [(point.step, point.value) for point in old.Scalars(tag)]
    new_points = [
        (point.step, float(tensor_util.make_ndarray(point.tensor_proto))) for point in new.Tensors(tag)
    ]
    assert old_points == new_points
    return old_points


def files(tmp_path, category="3DBall"):
    return sorted(directory(tmp_path, category).iterdir())


def events(path):
    return list(EventFileLoader(str(path)).Load())


@contextmanager
def largest_file(size_bytes):
    """Let no file of this process grow past `size_bytes`: writing stops there, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_keeps_the_contract():
    check_writer(writers)
    check_writer(writers, {"extra": list(EXTRAS)})


def test_the_headline_of_each_key_is_a_point_at_step_and_end_of_its_period(tmp_path):
    values = example_summaries()[0]
    made(tmp_path).write_stats("3DBall", values, values.period.step)
    found = EventAccumulator(str(directory(tmp_path)), size_guidance=EVERYTHING).Reload()
    assert set(found.Tags()["scalars"]) == set(values) - {"Is Training", "Step"}
    for key in found.Tags()["scalars"]:
        (point,) = found.Scalars(key)
        assert point.step == 1_000
        assert point.wall_time == values.period.end / 1e9
        assert point.value == numpy.float32(values[key].aggregated_value)


def test_a_histogram_key_also_has_its_pooled_distribution(tmp_path):
    values = example_summaries()[0]
    made(tmp_path).write_stats("3DBall", values, values.period.step)
    found = EventAccumulator(str(directory(tmp_path)), size_guidance=EVERYTHING).Reload()
    assert found.Tags()["histograms"] == ["Environment/Episode Length_hist"]
    (event,) = found.Histograms("Environment/Episode Length_hist")
    histo, column = event.histogram_value, range(190, 202)
    assert (histo.min, histo.max, histo.num) == (190, 201, 12)
    assert (histo.sum, histo.sum_squares) == (sum(column), pytest.approx(sum(x * x for x in column)))
    assert sum(histo.bucket) == 12


@pytest.mark.parametrize(
    "column",
    [[1.0], [0.0, 0.0, 1.0], [-5.0, -5.0, 0.0], [-1e9, 0.0, 1e-9, 7.0], [0.1 * i for i in range(-50, 90)]],
)
@pytest.mark.parametrize("exact", [True, False])
def test_a_histograms_buckets_hold_the_values_they_say(column, exact):
    histo = histogram(summarize(column, StatsAggregationMethod.HISTOGRAM, exact=exact))
    limits = list(histo.bucket_limit)
    assert limits == sorted(limits)
    assert len(limits) == len(histo.bucket)
    assert limits[-1] == max(column)
    assert sum(histo.bucket) == len(column)
    left = min(column)
    for limit, count in zip(limits, histo.bucket, strict=True):
        # A gap is an empty bucket, so that nothing is drawn where no value is.
        assert not count or any(left <= value <= limit for value in column)
        assert not (count and limit - left > max(abs(left), abs(limit)) / 64)
        left = limit


def test_extra_draws_what_it_names_beside_each_key(tmp_path):
    summary = summarize([1.0, 2.0, 6.0])
    values = PeriodSummaries(replace(example_period(), workers_reporting=61), {"a": summary})
    made(tmp_path, extra=["std", "min", "max", "p5", "p95", "workers"]).write_stats("3DBall", values, 0)
    wanted = {"a": 3.0, "a/min": 1.0, "a/max": 6.0, "a/p5": 1.0, "a/p95": 6.0, "a/workers": 61.0}
    assert {tag: shown(tmp_path, tag)[0][1] for tag in wanted} == wanted
    assert shown(tmp_path, "a/std")[0][1] == numpy.float32(summary.std)


def test_an_extra_never_takes_the_tag_of_a_key(tmp_path):
    values = PeriodSummaries(
        example_period(), {"a": summarize([1.0, 3.0]), "a/max": summarize([7.0]), "a_hist": summarize([8.0])}
    )
    made(tmp_path, extra=["max"]).write_stats("3DBall", values, 0)
    assert shown(tmp_path, "a/max") == [(0, 7.0)]
    assert shown(tmp_path, "a_hist") == [(0, 8.0)]


def test_what_has_no_finite_value_has_no_point(tmp_path):
    column = {"a": summarize([1.0]), "nan": summarize([math.nan]), "huge": summarize([1e300])}
    column["sum"] = summarize([math.inf], StatsAggregationMethod.SUM)
    column["hist"] = summarize([], StatsAggregationMethod.HISTOGRAM)
    made(tmp_path).write_stats("3DBall", PeriodSummaries(example_period(), column), 0)
    found = EventAccumulator(str(directory(tmp_path)), size_guidance=EVERYTHING).Reload().Tags()
    assert (found["scalars"], found["histograms"]) == (["a"], [])


def test_an_empty_period_leaves_no_trace(tmp_path):
    write(made(tmp_path), (1, 5, None))
    assert not list(tmp_path.iterdir())


def test_a_new_writer_goes_on_in_a_new_file_that_tensorboard_reads_after_the_old_one(tmp_path):
    for life in range(12):
        before = {path: path.read_bytes() for path in files(tmp_path)} if life else {}
        # All lives within one second of the daemon's time: the clock alone would not tell them apart.
        period = replace(example_period(ordinal=life, step=life), start=0, end=1_767_225_600_000_000_000)
        made(tmp_path).write_stats("3DBall", PeriodSummaries(period, {"a": summarize([life])}), life)
        assert {path: path.read_bytes() for path in files(tmp_path)[:-1]} == before
    assert shown(tmp_path) == [(life, float(life)) for life in range(12)]


def test_a_new_file_comes_after_those_that_others_have_written(tmp_path):
    directory(tmp_path).mkdir(parents=True)
    (directory(tmp_path) / "events.out.tfevents.9999999998.host.1.0").write_bytes(b"")
    write(made(tmp_path), (1, 1, 1.0))
    assert files(tmp_path)[-1].name.startswith("events.out.tfevents.9999999999.")


def test_a_period_that_comes_again_shows_once(tmp_path):
    writer = made(tmp_path)
    write(writer, (1, 10, 1.0), (2, 20, 2.0), (2, 20, 2.0), (3, 30, 3.0))
    assert shown(tmp_path) == [(10, 1.0), (20, 2.0), (30, 3.0)]
    write(made(tmp_path), (3, 30, 3.0), (4, 40, 4.0))
    assert shown(tmp_path) == [(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)]


def test_a_step_that_goes_back_hides_the_future_that_was_given_up(tmp_path):
    write(made(tmp_path), (1, 10, 1.0), (2, 20, 2.0), (3, 30, 3.0), (4, 15, 4.0), (5, 25, 5.0))
    assert shown(tmp_path) == [(10, 1.0), (15, 4.0), (25, 5.0)]


def test_categories_do_not_disturb_each_other(tmp_path):
    writer = made(tmp_path)
    for ordinal in (1, 2, 3):
        write(writer, (ordinal, 10 * ordinal, 1.0))
        write(writer, (ordinal, ordinal, 2.0), category="other/category")
    assert shown(tmp_path) == [(10, 1.0), (20, 1.0), (30, 1.0)]
    assert shown(tmp_path, category="other/category") == [(1, 2.0), (2, 2.0), (3, 2.0)]


def test_a_step_that_stands_still_is_said_once(tmp_path, caplog):
    writer = made(tmp_path)
    with caplog.at_level(logging.WARNING, "stats_aggregator_writers"):
        write(writer, (1, 10, 1.0), (1, 10, 1.0))
        assert not caplog.records
        write(writer, (2, 10, 2.0), (3, 10, 3.0), (4, 10, 4.0))
    (record,) = caplog.records
    assert "3DBall: the step stands still at 10" in record.getMessage()


def deliver(writer, ordinal, step, cause=Cause.WRITE, **values):
    """Write a period with the given values of the given keys."""
    period = replace(example_period(ordinal=ordinal, step=step), cause=cause)
    found = {key: summarize([value], StatsAggregationMethod.HISTOGRAM) for key, value in values.items()}
    writer.write_stats("3DBall", PeriodSummaries(period, found), step)


def curves(tmp_path):
    """Return the (step, value) of each point of each scalar that TensorBoard shows."""
    tags = EventAccumulator(str(directory(tmp_path)), size_guidance=EVERYTHING).Reload().Tags()
    return {tag: shown(tmp_path, tag) for tag in tags["scalars"]}


def histogram_steps(tmp_path, tag):
    found = EventAccumulator(str(directory(tmp_path)), size_guidance=EVERYTHING).Reload()
    return [event.step for event in found.Histograms(tag)]


def test_what_was_left_over_is_drawn_where_its_key_has_no_point_at_its_step_or_later(tmp_path):
    writer = made(tmp_path)
    deliver(writer, 1, 10, a=1, b=1)
    deliver(writer, 2, 11, Cause.LEFT, a=2)  # as a step that was written, and nobody is left to end it
    deliver(writer, 3, 20, b=3)
    deliver(writer, 4, 11, Cause.LEFT, a=4, b=4, c=4)  # a stands there, and b later
    deliver(writer, 5, 21, Cause.LEFT, a=5, b=5)
    deliver(writer, 6, 21, Cause.LEFT, a=6, d=6)
    deliver(writer, 7, 30, a=7)
    assert curves(tmp_path) == {
        "a": [(10, 1), (11, 2), (21, 5), (30, 7)],
        "b": [(10, 1), (20, 3), (21, 5)],
        "c": [(11, 4)],
        "d": [(21, 6)],
    }
    assert histogram_steps(tmp_path, "a_hist") == [10, 11, 21, 30]


def test_a_period_of_the_step_of_what_was_left_over_replaces_the_keys_it_brings(tmp_path, caplog):
    writer = made(tmp_path, extra=["max"])
    with caplog.at_level(logging.WARNING, "stats_aggregator_writers"):
        deliver(writer, 1, 10, a=1, b=1)
        deliver(writer, 2, 11, Cause.LEFT, a=2, b=2)
        deliver(writer, 3, 11, c=3)
        deliver(writer, 4, 11, a=4)
        deliver(writer, 5, 12, a=5, b=5)
    assert not caplog.records  # the step did not stand still: nobody wrote it before
    wanted = {"a": [(10, 1), (11, 4), (12, 5)], "b": [(10, 1), (11, 2), (12, 5)], "c": [(11, 3)]}
    assert curves(tmp_path) == wanted | {f"{key}/max": points for key, points in wanted.items()}
    assert histogram_steps(tmp_path, "a_hist") == [10, 11, 12]


def test_a_step_that_stands_still_past_what_was_left_over_is_said(tmp_path, caplog):
    writer = made(tmp_path)
    with caplog.at_level(logging.WARNING, "stats_aggregator_writers"):
        deliver(writer, 1, 11, Cause.LEFT, b=1)
        deliver(writer, 2, 12, a=2)
        deliver(writer, 3, 12, a=3)
    assert ["stands still at 12" in record.getMessage() for record in caplog.records] == [True]


def test_a_new_writer_replaces_what_was_left_over_before_it_began(tmp_path):
    deliver(made(tmp_path), 1, 10, a=1)
    deliver(made(tmp_path), 2, 11, Cause.LEFT, a=2)
    deliver(made(tmp_path), 3, 11, a=3)
    assert curves(tmp_path) == {"a": [(10, 1), (11, 3)]}


def test_what_was_left_over_shows_once_however_often_it_is_delivered(tmp_path):
    writer = made(tmp_path)
    deliver(writer, 1, 10, a=1)
    for again in (writer, writer, made(tmp_path)):
        deliver(again, 2, 11, Cause.LEFT, a=2)
    assert curves(tmp_path) == {"a": [(10, 1), (11, 2)]}


def test_a_full_disk_does_not_cost_what_else_was_left_over(tmp_path):
    writer = made(tmp_path)
    deliver(writer, 1, 10, a=1)
    deliver(writer, 2, 11, Cause.LEFT, a=2, b=2)
    with largest_file(files(tmp_path)[0].stat().st_size + 60), pytest.raises(OSError):
        deliver(writer, 3, 11, a=3)
    deliver(writer, 3, 11, a=3)
    assert curves(tmp_path) == {"a": [(10, 1), (11, 3)], "b": [(11, 2)]}


def test_a_step_that_goes_back_before_what_was_left_over_lets_it_be_left_over_again(tmp_path):
    writer = made(tmp_path)
    deliver(writer, 1, 10, a=1)
    deliver(writer, 2, 21, Cause.LEFT, a=2, b=2)
    deliver(writer, 3, 5, a=3)
    deliver(writer, 4, 6, Cause.LEFT, a=4, b=4)
    assert curves(tmp_path) == {"a": [(5, 3), (6, 4)], "b": [(6, 4)]}


def test_hyperparameters_show_once_where_what_was_left_over_brought_them(tmp_path):
    writer = made(tmp_path)
    deliver(writer, 1, 10, a=1)
    writer.add_property("3DBall", HYPERPARAMETERS, {"lr": 1})
    deliver(writer, 2, 11, Cause.LEFT, a=2, b=2)
    deliver(writer, 3, 11, a=3)
    found = PluginEventAccumulator(str(directory(tmp_path)), size_guidance={"tensors": 0}).Reload()
    assert [event.step for event in found.Tensors("Hyperparameters")] == [11]
    assert curves(tmp_path) == {"a": [(10, 1), (11, 3)], "b": [(11, 2)]}


@pytest.mark.parametrize("room", [0, 1, 60, 150, 400])
def test_after_a_full_disk_it_goes_on_and_every_point_shows_once(tmp_path, room):
    writer = made(tmp_path)
    write(writer, (1, 10, 1.0), (2, 20, 2.0))
    big = PeriodSummaries(example_period(ordinal=3, step=30), {f"key-{i}": summarize([i]) for i in range(50)})
    full_at = files(tmp_path)[0].stat().st_size + room
    with largest_file(full_at):
        for _ in range(3):
            with pytest.raises(OSError):
                writer.write_stats("3DBall", big, 30)
    writer.write_stats("3DBall", big, 30)
    write(writer, (4, 40, 4.0))
    assert shown(tmp_path) == [(10, 1.0), (20, 2.0), (40, 4.0)]
    assert shown(tmp_path, "key-49") == [(30, 49.0)]


def test_a_file_torn_by_a_crash_hides_nothing_that_follows(tmp_path):
    write(made(tmp_path), (1, 10, 1.0), (2, 20, 2.0))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    write(made(tmp_path), (2, 20, 2.0), (3, 30, 3.0))
    assert shown(tmp_path) == [(10, 1.0), (20, 2.0), (30, 3.0)]


def test_a_period_is_one_write_and_durable_before_the_return(tmp_path, monkeypatch):
    calls = []
    write_bytes, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write_bytes(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    writer = made(tmp_path, extra=["std", "min", "max"])
    values = {f"key-{i}": summarize([i], StatsAggregationMethod.HISTOGRAM) for i in range(50)}
    write(writer, (1, 1, 1.0))
    for ordinal in (2, 3):
        calls.clear()
        writer.write_stats(
            "3DBall", PeriodSummaries(example_period(ordinal=ordinal, step=ordinal), values), ordinal
        )
        assert calls == ["write", "fsync"]
    assert [event.WhichOneof("what") for event in events(files(tmp_path)[0])] == [
        "file_version", "session_log", "summary", "summary", "summary",
    ]  # fmt: skip


def test_hyperparameters_are_a_table_on_the_text_page(tmp_path):
    writer = made(tmp_path)
    writer.add_property("3DBall", HYPERPARAMETERS, {"type": "ppo", "net": {"units": 128, "layers": [2, 3]}})
    write(writer, (1, 0, 1.0), (2, 20, 2.0))
    found = PluginEventAccumulator(str(directory(tmp_path)), size_guidance={"tensors": 0}).Reload()
    assert found.PluginTagToContent("text").keys() == {"Hyperparameters"}
    (event,) = found.Tensors("Hyperparameters")
    assert event.step == 0
    assert tensor_util.make_ndarray(event.tensor_proto).tolist() == [
        [b"type", b"ppo"],
        [b"net.units", b"128"],
        [b"net.layers", b"[2, 3]"],
    ]


def test_changed_hyperparameters_stand_at_the_step_from_which_they_hold(tmp_path):
    writer = made(tmp_path)
    writer.add_property("3DBall", HYPERPARAMETERS, {"lr": 1})
    write(writer, (1, 10, 1.0), (2, 20, 2.0))
    writer.add_property("3DBall", HYPERPARAMETERS, {"lr": 2})
    write(writer, (3, 30, 3.0), (3, 30, 3.0), (4, 40, 4.0), (4, 40, 4.0))
    found = PluginEventAccumulator(str(directory(tmp_path)), size_guidance={"tensors": 0}).Reload()
    tables = found.Tensors("Hyperparameters")
    assert [(event.step, tensor_util.make_ndarray(event.tensor_proto)[0, 1]) for event in tables] == [
        (10, b"1"),
        (30, b"2"),
    ]


def test_every_file_begins_with_the_mark_that_purges_what_it_writes_again(tmp_path):
    write(made(tmp_path), (7, 70, 1.0))
    _, start, *_ = events(files(tmp_path)[0])
    assert (start.step, start.session_log.status) == (70, event_pb2.SessionLog.START)


def test_neither_tensorflow_nor_torch_is_imported(tmp_path):
    code = (
        "import sys; from stats_aggregator_api.testing import check_writer;"
        "from stats_aggregator_writers.tensorboard import writers; check_writer(writers);"
        "sys.exit(bool({'torch', 'tensorflow'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"extras": []}, r"\[writers\.tensorboard\] has no option 'extras'; it knows extra"),
        ({"extra": ["variance"]}, "extra has 'variance'; it may have num, mean, std, .*workers"),
        ({"extra": "std"}, "extra = 'std' is not a list of strings"),
        ({"extra": [5]}, r"extra = \[5\] is not a list of strings"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(options, sentence):
    with pytest.raises(OptionError, match=sentence):
        writers(RunOptions(plugin_options=options))
