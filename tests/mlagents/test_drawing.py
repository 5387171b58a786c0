"""What plugins of ML-Agents do with its own writers: look them up, call them, extend them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stats_aggregator_api.testing import summarize
from stats_aggregator_writers.tensorboard import TensorBoardWriter
from tests.mlagents.wild import METHOD, REWARD, period, points, write


def test_summaries_of_its_own_go_to_the_tensorboard_writer_that_it_looks_up(
    make: Any, tmp_path: Path
) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                SEEN.append([type(writer).__name__ for writer in StatsReporter.writers])
                for writer in StatsReporter.writers:
                    if isinstance(writer, TensorboardWriter):
                        writer.write_stats(category, {
                            "custom/list": StatsSummary([1.0, 2.0], StatsAggregationMethod.AVERAGE),
                            "custom/number": StatsSummary(4.5, StatsAggregationMethod.AVERAGE),
                            "custom/sum": StatsSummary(
                                full_dist=[1.0, 2.0], aggregation_method=StatsAggregationMethod.SUM
                            ),
                            "custom/spread": StatsSummary([1.0, 5.0], StatsAggregationMethod.HISTOGRAM),
                            "Is Training": StatsSummary([1.0], StatsAggregationMethod.AVERAGE),
                        }, step)
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    write(writer, period({REWARD: summarize([1.0])}, step=300))
    assert seen == [["TensorboardWriter", "GaugeWriter", "ConsoleWriter", "Writer"]]
    directory = tmp_path / "results" / "run" / "3DBall"
    assert points(directory) == {
        "custom/list": [(300, 1.5)], "custom/number": [(300, 4.5)], "custom/sum": [(300, 3.0)],
        "custom/spread": [(300, 3.0)],
    }  # fmt: skip
    (event,) = EventAccumulator(str(directory)).Reload().Histograms("custom/spread_hist")
    found = event.histogram_value
    assert (event.step, found.num, found.min, found.max, found.sum, found.sum_squares) == (
        300,
        2,
        1,
        5,
        6,
        26,
    )


def test_a_subclass_of_the_tensorboard_writer_draws_with_its_summary_writers(
    make: Any, tmp_path: Path
) -> None:
    source = """
        class Writer(TensorboardWriter):
            def write_stats(self, category, values, step):
                self._maybe_create_summary_writer(category)
                for key, summary in values.items():
                    self.summary_writers[category].add_scalar(f"{key}/std", summary.std, step)
                    values = np.array(summary.full_dist)
                    self.summary_writers[category].add_histogram(f"{key}/all", values, step)
                self.summary_writers[category].add_text("note", "here", step)
        def writers(options):
            settings = options.checkpoint_settings
            path = os.path.join(settings.write_path, "more")
            return [Writer(path, clear_past_data=not settings.resume, hidden_keys=["Step"])]
    """
    (writer,), _ = make(source)
    write(writer, period({"a": summarize([1.0, 3.0])}, step=10))
    write(writer, period({"a": summarize([1.0, 5.0])}, step=20))
    directory = tmp_path / "results" / "run" / "more" / "3DBall"
    # Nothing was flushed by the plugin, nor is the writer closed.
    assert points(directory) == {"a/std": [(10, 1.0), (20, 2.0)]}
    found = EventAccumulator(str(directory), {"histograms": 0, "tensors": 0}).Reload()
    assert [event.histogram_value.num for event in found.Histograms("a/all")] == [2, 2]
    assert [event.step for event in found.Tensors("note/text_summary")] == [10, 20]


def test_a_changed_summary_that_is_drawn_is_drawn_as_changed(make: Any, tmp_path: Path) -> None:
    source = """
        class Writer(TensorboardWriter):
            def write_stats(self, category, values, step):
                for key, summary in values.items():
                    summary.full_dist[:] = [2 * value for value in summary.full_dist]
                values["again"] = values["k"]._replace(aggregation_method=StatsAggregationMethod.SUM)
                super().write_stats(category, values, step)
        def writers(options): return [Writer(options.checkpoint_settings.write_path)]
    """
    (writer,), _ = make(source)
    write(writer, period({"k": summarize([1.0, 2.0])}))
    assert points(tmp_path / "results" / "run" / "3DBall") == {"k": [(100, 3.0)], "again": [(100, 6.0)]}


def test_gauges_and_the_console_writer_take_what_they_took(
    make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """
        log = logging_util.get_logger("theirs")
        log = get_logger("theirs")
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                set_gauge(GaugeWriter.sanitize_string(f"{category}.Cumulative Reward/x"), float(1))
                GaugeWriter().write_stats(category, values, step)
                ConsoleWriter().write_stats(category, values, step)
                parameters = {"a": 1, "b": {"c": 2}}
                ConsoleWriter().add_property(category, StatsPropertyType.HYPERPARAMETERS, parameters)
                log.info("written")
        def writers(options): return [Writer()]
    """
    (writer,), _ = make(source)
    write(
        writer, period({REWARD: summarize([1.0, 2.0]), "Is Training": summarize([1.0], METHOD.MOST_RECENT)})
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[INFO] 3DBall. Step: 100. Time Elapsed: ")
    assert lines[0].endswith(" s. Mean Reward: 1.500. Std of Reward: 0.500. Training.")
    assert lines[1:] == [
        "[INFO] Hyperparameters for behavior name 3DBall: ",
        "\ta:\t1",
        "\tb:\t",
        "\t  c:\t2",
        "[INFO] written",
    ]


def test_names_of_a_period_stay_below_the_directory_of_the_tensorboard_writer(
    make: Any, tmp_path: Path
) -> None:
    source = "def writers(options): return [TensorboardWriter(options.checkpoint_settings.write_path)]"
    (writer,), _ = make(source)
    values = period({"k": summarize([1.0])}, category="../../out")
    write(writer, values)
    (directory,) = (tmp_path / "results" / "run").iterdir()
    assert points(directory) == {"k": [(100, 1.0)]}


def test_past_data_are_not_cleared_and_that_is_said(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "def writers(options): return [TensorboardWriter(options.checkpoint_settings.write_path, True)]"
    old = tmp_path / "results" / "run" / "3DBall" / "events.out.tfevents.1.host"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    (writer,), _ = make(source)
    write(writer, period({"k": summarize([1.0])}))
    assert old.exists()
    assert "clear_past_data is ignored" in capsys.readouterr().out


def test_what_it_draws_stands_beside_what_the_daemons_writer_draws_whoever_begins(
    make: Any, tmp_path: Path
) -> None:
    (theirs,), _ = make(
        "def writers(options): return [TensorboardWriter(options.checkpoint_settings.write_path)]"
    )
    run = tmp_path / "results" / "run"
    for step in (100, 200):
        write(theirs, period({"theirs": summarize([1.0])}, step=step))
        # Anew each time, as after a restart: it begins with what makes TensorBoard forget this step.
        write(TensorBoardWriter(str(run)), period({"ours": summarize([2.0])}, step=step))
    expected = {"theirs": [(100, 1.0), (200, 1.0)], "ours": [(100, 2.0), (200, 2.0)]}
    assert points(run / "3DBall") == expected
