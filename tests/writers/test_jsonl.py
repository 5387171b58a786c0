"""The JSON lines writer, read back with the json module."""

import json
import math
from dataclasses import asdict, replace

import pytest

from stats_aggregator_api import CheckpointSettings, PeriodSummaries, RunOptions, path_part
from stats_aggregator_api.testing import check_writer, example_period, example_summaries, summarize
from stats_aggregator_api.testing.examples import OTHER_RUN, RUN
from stats_aggregator_writers.errors import OptionError
from stats_aggregator_writers.jsonl import FILE_NAME, writers

OF_PERIOD = (
    "ordinal", "id", "start", "end", "step", "workers_reporting", "workers_expected", "late", "lost",
    "uncertain", "duplicates", "unseen", "missing", "cause",
)  # fmt: skip
OF_STAT = [
    "aggregation", "value", "num", "mean", "std", "sum", "min", "max", "last", "num_nan", "num_inf", "p5",
    "p25", "p50", "p75", "p95", "exact", "percentile_error", "min_worker", "max_worker",
]  # fmt: skip


def made(tmp_path, run=RUN):
    settings = CheckpointSettings(run_id=run, results_dir=str(tmp_path))
    return writers(RunOptions(checkpoint_settings=settings))[0]


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line, parse_constant=no_constant) for line in file]


def test_it_keeps_the_contract():
    check_writer(writers)


@pytest.mark.parametrize("run", [RUN, OTHER_RUN])
def test_each_example_is_read_back_as_it_was_each_period_once(tmp_path, run):
    examples = [example for example in example_summaries() if example.period.run == run]
    writer = made(tmp_path, run)
    for example in examples:
        writer.write_stats(example.period.category, example, example.period.step)
    periods = {example.period.id: example for example in examples}
    lines = read(tmp_path / path_part(run) / FILE_NAME)
    assert [line["id"] for line in lines] == list(periods)
    for line in lines:
        values = periods[line["id"]]
        assert list(line) == ["run", "category", *OF_PERIOD, "stats"]
        assert (line["run"], line["category"]) == (run, values.period.category)
        told = {**asdict(values.period), "missing": list(values.period.missing)}
        assert all(line[name] == told[name] for name in OF_PERIOD)
        assert line["cause"] == values.period.cause.value
        assert list(line["stats"]) == list(values)
        for key, stat in line["stats"].items():
            _compare(stat, values[key])


def _compare(stat, summary):
    assert list(stat) == OF_STAT
    assert stat["aggregation"] == summary.aggregation_method.name
    assert stat["exact"] is summary.exact
    wanted = {name: getattr(summary, name, None) for name in OF_STAT[2:] if not name[1:].isdigit()}
    wanted |= {name: summary.percentile(int(name[1:])) for name in OF_STAT if name[1:].isdigit()}
    wanted["value"] = summary.aggregated_value
    for name, value in wanted.items():
        known = not (isinstance(value, float) and not math.isfinite(value))
        assert stat[name] == (value if known else None)


def test_an_infinite_sum_is_null(tmp_path):
    infinite = replace(summarize([1.0]), sum=math.inf)
    made(tmp_path).write_stats("3DBall", PeriodSummaries(example_period(), {"a": infinite}), 0)
    assert read(tmp_path / RUN / FILE_NAME)[0]["stats"]["a"]["sum"] is None


def test_a_new_writer_appends_and_drops_what_is_there(tmp_path):
    periods = [PeriodSummaries(example_period(ordinal=i), {"a": summarize([i])}) for i in range(1, 5)]
    for first, last in ((0, 2), (1, 3), (2, 4)):
        writer = made(tmp_path)
        for values in periods[first:last]:
            writer.write_stats("3DBall", values, 0)
    assert [line["ordinal"] for line in read(tmp_path / RUN / FILE_NAME)] == [1, 2, 3, 4]


def test_a_torn_line_is_cut_off_and_written_whole_when_it_comes_again(tmp_path):
    periods = [PeriodSummaries(example_period(ordinal=i), {"a": summarize([i])}) for i in range(1, 4)]
    writer = made(tmp_path)
    for values in periods[:2]:
        writer.write_stats("3DBall", values, 0)
    path = tmp_path / RUN / FILE_NAME
    path.write_bytes(path.read_bytes()[:-30])
    writer = made(tmp_path)
    for values in periods[1:]:
        writer.write_stats("3DBall", values, 0)
    assert [line["ordinal"] for line in read(path)] == [1, 2, 3]


def test_a_line_that_is_no_json_costs_itself_alone(tmp_path):
    values = PeriodSummaries(example_period(), {"a": summarize([1])})
    made(tmp_path).write_stats("3DBall", values, 0)
    path = tmp_path / RUN / FILE_NAME
    with open(path, "ab") as file:
        file.write(b"a note by hand\n[1]\n")
    before = path.read_bytes()
    writer = made(tmp_path)
    writer.write_stats("3DBall", PeriodSummaries(example_period(ordinal=2), {}), 0)
    assert path.read_bytes().startswith(before)
    assert json.loads(path.read_bytes().splitlines()[-1])["stats"] == {}


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(OptionError, match=r"\[writers\.jsonl\] has no option 'path'"):
        writers(RunOptions(plugin_options={"path": "x"}))
