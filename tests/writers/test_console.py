"""The console writer: what a person sees on a terminal, in a file, and through a pipe."""

import math
import os
import pty
import re
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from stats_aggregator_api import (
    Cause,
    CheckpointSettings,
    PeriodSummaries,
    RunOptions,
    StatsAggregationMethod,
    StatsPropertyType,
)
from stats_aggregator_api.testing import check_writer, example_period, example_summaries, summarize
from stats_aggregator_writers.console import writers
from stats_aggregator_writers.errors import OptionError
from stats_aggregator_writers.figures import figure, point_aligned

ESCAPE = "\x1b"
SHOW_FIRST_EXAMPLE = """
from stats_aggregator_api import RunOptions
from stats_aggregator_api.testing import example_summaries
from stats_aggregator_writers.console import writers
(writer,) = writers(RunOptions(plugin_options={options}))
for values in example_summaries()[:{number}]:
    writer.write_stats(values.period.category, values, values.period.step)
writer.close()
"""


def shown(capsys, values, **options):
    (writer,) = writers(RunOptions(plugin_options=options))
    writer.write_stats(values.period.category, values, values.period.step)
    writer.close()
    return capsys.readouterr().out


def periods(stats, **changes):
    return PeriodSummaries(replace(example_period(step=1000), **changes), stats)


def on_a_terminal(code, columns=80):
    """Return what the code prints to a real terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24"}
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(variable, None)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stdin=theirs, stderr=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    found = b""
    try:
        while part := os.read(ours, 4096):
            found += part
    except OSError:
        pass  # Linux says EIO where the other end is closed
    os.close(ours)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")
    return found.decode()


def test_it_keeps_the_contract(capsys):
    check_writer(writers)
    check_writer(writers, {"style": "table"})
    check_writer(writers, {"style": "line", "keys": ["Env*", "*/up"]})
    assert capsys.readouterr().out


def test_a_trainers_period_is_the_ancestors_line(capsys):
    stats = {
        "Environment/Cumulative Reward": summarize([1.0, 2.0, 3.0]),
        "Losses/Policy Loss": summarize([0.5]),
        "Is Training": summarize([1.0]),
    }
    assert shown(capsys, periods(stats)) == (
        "[INFO] 3DBall. Step: 1000. Time Elapsed: 10.0 s. Mean Reward: 2. Std of Reward: 0.8165. Training.\n"
    )


def test_a_trainers_period_without_an_episode_says_so(capsys):
    stats = {"Losses/Policy Loss": summarize([0.5]), "Is Training": summarize([0.0])}
    assert shown(capsys, periods(stats)) == (
        "[INFO] 3DBall. Step: 1000. Time Elapsed: 10.0 s. "
        "No episode ended since the last summary. Not Training.\n"
    )


def test_a_reward_without_a_finite_value_is_a_dash(capsys):
    stats = {"Environment/Cumulative Reward": summarize([math.nan])}
    assert shown(capsys, periods(stats)).endswith("Mean Reward: -. Std of Reward: -. 1 NaN.\n")


def test_self_play_adds_its_elo(capsys):
    stats = {"Environment/Cumulative Reward": summarize([1.0]), "Self-play/ELO": summarize([1200.5])}
    assert "Std of Reward: 0. ELO: 1200.5.\n" in shown(capsys, periods(stats))


def test_any_other_category_tells_its_keys_and_headlines(capsys):
    stats = {"loss": summarize([0.25, 0.5]), "hits": summarize([1, 2], StatsAggregationMethod.SUM)}
    assert shown(capsys, periods(stats)).endswith("10.0 s. loss=0.375, hits=3.\n")


def test_many_keys_are_cut_and_counted(capsys):
    line = shown(capsys, periods({f"k{i}": summarize([i]) for i in range(40)}), style="line")
    assert line.endswith("k11=11 and 28 more.\n")
    assert line.count("\n") == 1


def test_an_empty_period_is_one_line(capsys):
    for style in ("line", "table"):
        assert "No values since the last summary" in shown(capsys, periods({}), style=style)


def test_only_what_is_not_as_it_should_be_is_noted(capsys):
    stats = {"a": summarize([1.0, math.nan, math.inf, math.inf])}
    bad = periods(stats, workers_reporting=61, workers_expected=64, late=1234, lost=5, uncertain=6)
    notes = ["61 of 64 workers", "1,234 late", "5 lost", "6 uncertain", "1 NaN", "2 infinite"]
    for style in ("line", "table"):
        told = shown(capsys, bad, style=style)
        assert all(note in told for note in notes)
        quiet = shown(capsys, periods({"a": summarize([1.0])}), style=style)
        assert not re.search("workers|late|lost|uncertain|NaN|infinite", quiet)


ENVS = tuple(f"env-{number}" for number in range(2, 22))
LONG = tuple(f"gpu-node-17.cluster.example-train.py-{number}" for number in range(2))


@pytest.mark.parametrize("style", ["line", "table"])
@pytest.mark.parametrize(
    ("reporting", "expected", "missing", "note"),
    [
        (3, 4, ENVS[:1], "3 of 4 workers, missing env-2"),
        (61, 64, ENVS[:3], "61 of 64 workers, missing env-2, env-3, env-4"),
        (56, 64, ENVS[:8], "56 of 64 workers, missing env-2, env-3, env-4 and 5 more"),
        (100, 1000, ENVS, "100 of 1000 workers, missing env-2, env-3, env-4 and 897 more"),
        # Who has said goodbye may report, and is not expected.
        (4, 4, ENVS[:1], "4 of 4 workers, missing env-2"),
        (3, 4, (), "3 of 4 workers"),
        (2, 4, LONG, "workers, missing ...17.cluster.example-train.py-0, ...17.cluster.example-train.py-1"),
    ],
)
def test_who_is_missing_is_named_up_to_three(capsys, style, reporting, expected, missing, note):
    changes = {"workers_reporting": reporting, "workers_expected": expected, "missing": missing}
    told = shown(capsys, periods({"a": summarize([1.0])}, **changes), style=style)
    (head,) = (line for line in told.splitlines() if "workers" in line)
    assert head.endswith(note + ("." if style == "line" else ""))


@pytest.mark.parametrize("style", ["line", "table"])
@pytest.mark.parametrize("cause", Cause)
def test_a_period_that_may_be_a_part_only_is_marked_with_why(capsys, style, cause):
    head = shown(capsys, periods({"a": summarize([1.0])}, cause=cause), style=style).splitlines()[0]
    marks = {Cause.LEFT: "10.0 s (left)", Cause.STOP: "10.0 s (stop)"}
    assert marks.get(cause, "10.0 s") in head
    assert ("(" in head) is (cause in marks)


@pytest.mark.parametrize("columns", [80, 60])
def test_the_head_of_a_table_breaks_between_words_on_a_terminal(columns):
    code = """
from dataclasses import replace
from stats_aggregator_api import PeriodSummaries, RunOptions
from stats_aggregator_api.testing import example_period, summarize
from stats_aggregator_writers.console import writers
(writer,) = writers(RunOptions())
missing = tuple(f"gpu-node-17-train.py-{i}" for i in range(8))
period = replace(example_period(), workers_reporting=56, workers_expected=64, missing=missing)
writer.write_stats("3DBall", PeriodSummaries(period, {"a": summarize([1.0])}), 0)
"""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal(code, columns)).splitlines()
    assert max(map(len, lines)) <= columns
    head = [line.strip() for line in lines[:3]]
    assert " ".join(head).startswith(
        "3DBall   step 0   10.0 s   56 of 64 workers, missing "
        "gpu-node-17-train.py-0, gpu-node-17-train.py-1, gpu-node-17-train.py-2 and 5 more"
    )


def test_keys_are_chosen_by_globs(capsys):
    values = example_summaries()[0]
    line = shown(capsys, values, keys=["Policy/*", "*Reward"])
    assert "Mean Reward" in line
    assert "Policy/Learning Rate=" in line
    assert "Loss" not in line
    table = shown(capsys, values, keys=["Policy/*"], style="table")
    assert "Learning Rate" in table
    assert "Episode Length" not in table


def test_a_category_without_a_chosen_key_is_silent(capsys):
    for style in ("line", "table"):
        assert shown(capsys, periods({"a": summarize([1.0])}), keys=["b"], style=style) == ""


def test_elapsed_time_runs_from_the_first_period_seen(capsys):
    (writer,) = writers(RunOptions())
    for ordinal in (5, 8):
        values = PeriodSummaries(example_period(ordinal=ordinal), {"a": summarize([1.0])})
        writer.write_stats("3DBall", values, 0)
    writer.close()
    assert re.findall(r"Elapsed: ([\d.]+) s", capsys.readouterr().out) == ["10.0", "40.0"]


def test_the_run_is_named_only_while_there_are_several(capsys):
    def made(run):
        return writers(RunOptions(checkpoint_settings=CheckpointSettings(run_id=run)))[0]

    values = periods({"a": summarize([1.0])})
    one, other = made("one"), made("other")
    one.write_stats("3DBall", values, 0)
    assert "[INFO] one/3DBall." in capsys.readouterr().out
    other.close()
    one.write_stats("3DBall", values, 0)
    assert "[INFO] 3DBall." in capsys.readouterr().out
    one.close()


def test_a_property_is_an_indented_tree_without_control_characters(capsys):
    (writer,) = writers(RunOptions())
    value = {
        "lr": 3e-4,
        "net": {"units": 128},
        "note": "\x1b[2Jgone [red]",
        "many": {str(i): i for i in range(60)},
    }
    writer.add_property("3DBall", StatsPropertyType.HYPERPARAMETERS, value)
    writer.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "3DBall hyperparameters:", "  lr: 0.0003", "  net:", "    units: 128",
        "  note: \N{REPLACEMENT CHARACTER}[2Jgone [red]",
    ]  # fmt: skip
    assert lines[-1] == "  ... and 26 lines more"
    assert len(lines) == 41


def test_a_terminal_is_shown_a_table_in_colour_that_fits_it():
    screen = on_a_terminal(SHOW_FIRST_EXAMPLE.format(options={}, number=1))
    assert ESCAPE in screen
    lines = re.sub(r"\x1b\[[0-9;]*m", "", screen).splitlines()
    assert max(map(len, lines)) <= 80
    assert re.fullmatch(r"3DBall +step 1,000 +10.0 s", lines[0].strip())
    (reward,) = (line for line in lines if "Cumulative Reward" in line)
    assert reward.split()[2:] == ["2.4374", "0.7477", "1", "3.464", "12"]
    headings = next(line for line in lines if "value" in line).split()
    assert headings == ["key", "value", "std", "min", "max", "num"]
    # Decimal points stand in line.
    points = {line.index(".") for line in lines if re.search(r"Best|Cumulative|Length", line)}
    assert len(points) == 1
    assert not any("Is Training" in line for line in lines)


def test_a_terminal_is_shown_a_line_where_a_table_would_not_fit():
    code = """
from stats_aggregator_api import PeriodSummaries, RunOptions
from stats_aggregator_api.testing import example_period, summarize
from stats_aggregator_writers.console import writers
(writer,) = writers(RunOptions())
for number in (30, 31):
    values = PeriodSummaries(example_period(), {f"k{i}": summarize([i]) for i in range(number)})
    writer.write_stats("3DBall", values, 0)
"""
    screen = on_a_terminal(code)
    assert screen.count("[INFO]") == 1
    assert "k29" in screen


@pytest.mark.parametrize("style", ["table", "line"])
def test_a_file_has_no_colour_codes_and_a_poor_encoding_is_survived(style):
    code = SHOW_FIRST_EXAMPLE.format(options={"style": style, "keys": ["*"]}, number=8)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    environment.pop("FORCE_COLOR", None)
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, env=environment, check=True
    )
    assert ESCAPE not in found.stdout.decode("ascii")
    assert b"??/??" in found.stdout or style == "table"
    assert found.stderr == b""


def test_a_reader_that_went_away_is_said_once_and_hurts_nothing():
    ours, theirs = os.pipe()
    os.close(ours)
    found = subprocess.run(
        [sys.executable, "-c", SHOW_FIRST_EXAMPLE.format(options={}, number=5)],
        stdout=theirs, stderr=subprocess.PIPE, timeout=60,
    )  # fmt: skip
    os.close(theirs)
    assert found.returncode == 0
    assert found.stderr.decode().count("standard output is closed") == 1
    assert found.stderr.decode().count("\n") == 1


def test_pieces_of_several_threads_are_never_mixed(capfd):
    stats = {f"k{i}": summarize([i]) for i in range(12)}

    def print_many(run):
        (writer,) = writers(RunOptions(checkpoint_settings=CheckpointSettings(run_id=run)))
        for _ in range(50):
            writer.write_stats("3DBall", periods(stats), 0)

    threads = [threading.Thread(target=print_many, args=(f"run-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 200
    assert all(re.fullmatch(r"\[INFO\] .*3DBall\. .* k11=11\.", line) for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-12345.0, "-12,345"), (1234567.0, "1,234,567"), (0.5, "0.5"),
        (1 / 3, "0.33333"), (123.456789, "123.46"), (99999.6, "100,000"), (2e9, "2e+09"), (3e-4, "0.0003"),
        (1.23456789e-9, "1.2346e-09"), (math.nan, "-"), (math.inf, "inf"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_figures_have_five_significant_digits(value, text):
    assert figure(value) == text


def test_a_column_is_aligned_at_its_points():
    assert point_aligned(["1.25", "30", "0.5"]) == [" 1.25", "30   ", " 0.5 "]
    assert point_aligned([]) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"style": "tabel"}, "style = 'tabel' is unknown; it may be auto, table, line"),
        ({"keys": "Env*"}, r"keys = 'Env\*' is not a list of strings"),
        ({"colour": True}, "has no option 'colour'; it knows style, keys"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(options, sentence):
    with pytest.raises(OptionError, match=sentence):
        writers(RunOptions(plugin_options=options))
