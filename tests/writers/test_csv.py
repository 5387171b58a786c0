"""The CSV writer, read back with the csv module."""

import csv
import json
import logging
import math
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from stats_aggregator_api import Cause, CheckpointSettings, PeriodSummaries, RunOptions, path_part
from stats_aggregator_api.testing import check_writer, example_period, example_summaries, summarize
from stats_aggregator_api.testing.examples import RUN
from stats_aggregator_writers.csv import COLUMNS, utc_text, writers
from stats_aggregator_writers.errors import OptionError


def made(tmp_path, run=RUN):
    settings = CheckpointSettings(run_id=run, results_dir=str(tmp_path))
    return writers(RunOptions(checkpoint_settings=settings))[0]


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_keeps_the_contract():
    check_writer(writers)


def test_each_example_is_read_back_as_it_was_each_period_once(tmp_path):
    examples = [example for example in example_summaries() if example.period.run == RUN]
    writer = made(tmp_path)
    for example in examples:
        writer.write_stats(example.period.category, example, example.period.step)
    by_category = {}
    for example in examples:
        by_category.setdefault(example.period.category, {})[example.period.id] = example
    for category, periods in by_category.items():
        rows = read(tmp_path / path_part(RUN) / f"{path_part(category)}.csv")
        assert [(row["id"], row["key"]) for row in rows] == [
            (period_id, key) for period_id, values in periods.items() for key in values
        ]
        for row in rows:
            values = periods[row["id"]]
            _compare(row, values.period, values[row["key"]])


def _compare(row, period, summary):
    assert tuple(row) == COLUMNS
    for name in ("ordinal", "step", "workers_reporting", "workers_expected", "late", "lost", "uncertain"):
        assert int(row[name]) == getattr(period, name)
    assert json.loads(row["workers_missing"]) == list(period.missing)
    assert row["cause"] == period.cause.value
    began = datetime.fromisoformat(row["start"].replace("Z", "+00:00"))
    assert began == datetime.fromtimestamp(period.start // 10**9, timezone.utc)
    assert row["aggregation"] == summary.aggregation_method.name
    assert float(row["percentile_error"]) == summary.percentile_error
    assert row["exact"] == ("true" if summary.exact else "false")
    for name in ("num", "num_nan", "num_inf"):
        assert int(row[name]) == getattr(summary, name)
    assert (row["min_worker"], row["max_worker"]) == (summary.min_worker, summary.max_worker)
    numbers = {name: getattr(summary, name) for name in ("mean", "std", "sum", "min", "max", "last")}
    numbers |= {f"p{q}": summary.percentile(q) for q in (5, 25, 50, 75, 95)}
    numbers["value"] = summary.aggregated_value
    for name, number in numbers.items():
        assert float(row[name]) == number or (math.isnan(number) and math.isnan(float(row[name])))


def test_a_new_writer_appends_and_drops_what_is_there(tmp_path):
    periods = [PeriodSummaries(example_period(ordinal=i, step=i), {"a": summarize([i])}) for i in range(1, 5)]
    for first, last in ((0, 2), (1, 3), (2, 4)):
        writer = made(tmp_path)
        for values in periods[first:last]:
            writer.write_stats("3DBall", values, values.period.step)
    assert [row["step"] for row in read(tmp_path / RUN / "3DBall.csv")] == ["1", "2", "3", "4"]


def test_who_is_missing_is_unambiguous_whatever_the_names(tmp_path):
    missing = ("env 1", 'a "quoted", name', '["env-2"]', "雪 ☃")
    period = replace(example_period(), missing=missing, cause=Cause.PATIENCE)
    made(tmp_path).write_stats(
        "3DBall", PeriodSummaries(period, {"a": summarize([1]), "b": summarize([2])}), 0
    )
    rows = read(tmp_path / RUN / "3DBall.csv")
    assert [(tuple(json.loads(row["workers_missing"])), row["cause"]) for row in rows] == [
        (missing, "patience"),
        (missing, "patience"),
    ]


def test_a_file_of_an_earlier_version_is_continued_with_its_columns_and_that_is_said_once(tmp_path, caplog):
    path = tmp_path / RUN / "3DBall.csv"
    path.parent.mkdir()
    earlier = COLUMNS[: COLUMNS.index("workers_missing")]
    periods = [PeriodSummaries(example_period(ordinal=i, step=i), {"a": summarize([i])}) for i in range(1, 5)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, earlier, restval="1", lineterminator="\n")
        lines.writeheader()
        lines.writerow({"id": periods[0].period.id, "step": "1"})
    with caplog.at_level(logging.WARNING, "stats_aggregator_writers"):
        writer = made(tmp_path)
        for values in periods[:3]:
            writer.write_stats("3DBall", values, values.period.step)
    (record,) = caplog.records
    assert f"{path} has the columns of an earlier version" in record.getMessage()
    assert "without workers_missing and cause" in record.getMessage()
    rows = read(path)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert all(tuple(row) == earlier and None not in row.values() for row in rows)
    assert rows[2]["max_worker"] == "worker-0"
    path.rename(path.with_suffix(".kept"))
    writer.write_stats("3DBall", periods[3], 4)
    (row,) = read(path)
    assert (tuple(row), row["step"], row["cause"]) == (COLUMNS, "4", "time")


def test_a_key_that_comes_later_needs_no_other_columns(tmp_path):
    writer = made(tmp_path)
    for ordinal, key in enumerate(("first", "second"), 1):
        writer.write_stats(
            "3DBall", PeriodSummaries(example_period(ordinal=ordinal), {key: summarize([1])}), 0
        )
    assert [row["key"] for row in read(tmp_path / RUN / "3DBall.csv")] == ["first", "second"]


def test_an_empty_period_makes_no_file(tmp_path):
    made(tmp_path).write_stats("3DBall", PeriodSummaries(example_period(), {}), 0)
    assert not list(tmp_path.iterdir())


def test_times_have_milliseconds_in_utc():
    assert utc_text(1_767_225_600_123_999_999) == "2026-01-01T00:00:00.123Z"


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(OptionError, match=r"\[writers\.csv\] has no option 'path'; it has no options"):
        writers(RunOptions(plugin_options={"path": "x"}))
