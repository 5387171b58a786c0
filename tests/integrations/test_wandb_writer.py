"""The W&B writer with the real package: files read back by W&B's own command, uploads by a server."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("wandb", reason="no wandb here: `make test-integrations` has it")

from stats_aggregator_api import Cause, PeriodSummaries, StatsAggregationMethod, StatsPropertyType
from stats_aggregator_api.testing import check_writer, example_period, summarize
from stats_aggregator_wandb.options import WandbOptions, wandb_id
from stats_aggregator_wandb.rows import histogram, points
from stats_aggregator_wandb.writer import WandbWriter, writers
from stats_aggregator_writers.errors import OptionError
from tests.integrations.wandb_child import CATEGORY, RUN, period
from tests.integrations.wandb_records import files, records, rows
from tests.integrations.wandb_server import WandbServer

ROOT = Path(__file__).parents[2]
HISTOGRAM = StatsAggregationMethod.HISTOGRAM


@pytest.fixture
def server():
    server = WandbServer()
    yield server
    server.stop()


def child(directory, mode, ordinals, end="close", server=None, timeout=90):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WANDB_")},
        "WANDB_API_KEY": "k" * 40,
        "WANDB_BASE_URL": server.url if server else "http://127.0.0.1:9",
        "PYTHONPATH": str(ROOT),
        "HOME": str(directory),
    }
    command = [sys.executable, "-m", "tests.integrations.wandb_child", str(directory), mode, ordinals, end]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=timeout)
    assert done.returncode == (-signal.SIGKILL if end == "kill" else 0), done.stderr
    return done.stdout + done.stderr


def steps(found):
    return [line[f"{CATEGORY}/Step"] for line in found]


def write(writer, values):
    writer.write_stats(values.period.category, values, values.period.step)


def test_it_keeps_the_contract():
    check_writer(writers, {"mode": "offline", "extra": ["std", "p95", "workers"]})


def test_headlines_extras_and_buckets_are_read_back_from_the_run(tmp_path):
    options = WandbOptions(mode="offline", extra=["std", "workers"], project="balls", group="team")
    writer = WandbWriter(RUN, str(tmp_path), options)
    writer.add_property(
        CATEGORY, StatsPropertyType.HYPERPARAMETERS, {"lr": 1e-3, "net": {"layers": [64, 64]}}
    )
    values = {
        "Losses/Value Loss": summarize([1.0, 3.0]),
        "length": summarize([5.0, 5.0, 9.0], HISTOGRAM),
        "nothing": summarize([float("nan")]),
        "Step": summarize([7.0]),
    }
    given = PeriodSummaries(example_period(CATEGORY, step=70), values)
    write(writer, given)
    writer.close()
    (found,) = rows(tmp_path)
    assert found["3DBall/Losses/Value Loss"] == 2.0
    assert found["3DBall/Losses/Value Loss/std"] == 1.0
    assert found["3DBall/Losses/Value Loss/workers"] == 4
    assert found["3DBall/Step"] == 70
    assert found["_period"] == given.period.id
    assert found["_timestamp"] == given.period.end / 1e9
    assert not any("nothing" in name for name in found)
    assert found["3DBall/length_hist._type"] == "histogram"
    assert found["3DBall/length_hist.values"] == [2, 0, 1]
    bins = found["3DBall/length_hist.bins"]
    assert len(bins) == 4
    assert (bins[0], bins[-1]) == (5.0, 9.0)
    (path,) = files(tmp_path)
    (run,) = records(path, "run")
    assert (run["run_id"], run["project"], run["run_group"]) == (RUN, "balls", "team")
    assert {"lr": 1e-3, "net": {"layers": [64, 64]}} in [
        update["3DBall"]["hyperparameters"]
        for record in records(path, "config")
        if "3DBall" in (update := record["update"])
    ]


def test_each_category_has_its_own_x_axis_and_a_step_that_goes_back_is_kept(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline"))
    order = [("a", 1, 100), ("b/c", 1, 5), ("a", 2, 50), ("b/c", 2, 6), ("a", 3, 200), ("v1.0", 1, 7)]
    for category, ordinal, step in order:
        found = {"value": summarize([float(step)])}
        write(writer, PeriodSummaries(example_period(category, ordinal, step=step), found))
    writer.close()
    found = rows(tmp_path)
    assert [line["a/Step"] for line in found if "a/Step" in line] == [100, 50, 200]
    assert [line["b%2Fc/value"] for line in found if "b%2Fc/Step" in line] == [5, 6]
    assert [line["_step"] for line in found] == [0, 1, 2, 3, 4, 5]
    # A dot leads into what is nested where a metric is defined: W&B would add a column of its own.
    assert {name for name in found[-1] if not name.startswith("_")} == {"v1.0/Step", "v1.0/value"}
    (path,) = files(tmp_path)
    globs = {
        metric["glob_name"]: metric["step_metric"]
        for metric in records(path, "metric")
        if "step_metric" in metric and "glob_name" in metric
    }
    assert globs == {
        "a/*": "a/Step",
        "b%2Fc/*": "b%2Fc/Step",
        r"v1\.0/*": r"v1\.0/Step",
    }


def test_what_was_left_over_has_no_second_point_at_the_step_of_a_key_or_before(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline"))
    given = [
        (10, Cause.WRITE, {"a": 1.0, "b": 1.0}),
        (20, Cause.WRITE, {"b": 2.0}),
        (11, Cause.LEFT, {"a": 3.0, "b": 3.0}),
        (11, Cause.LEFT, {"a": 4.0, "b": 4.0}),
        (30, Cause.WRITE, {"a": 5.0}),
    ]
    for ordinal, (step, cause, found) in enumerate(given, 1):
        period = replace(example_period(CATEGORY, ordinal, step=step), cause=cause)
        values = PeriodSummaries(period, {key: summarize([value]) for key, value in found.items()})
        for _ in ("delivered", "delivered again"):
            write(writer, values)
    writer.close()
    found = rows(tmp_path)
    assert steps(found) == [10, 20, 11, 30]
    assert [line.get(f"{CATEGORY}/a") for line in found] == [1.0, None, 3.0, 5.0]
    assert [line.get(f"{CATEGORY}/b") for line in found] == [1.0, 2.0, None, None]


def test_hyperparameters_that_no_row_comes_after_are_in_the_config_too(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline"))
    write(writer, period(1))
    writer.add_property(CATEGORY, StatsPropertyType.HYPERPARAMETERS, {"lr": 1e-3})
    writer.close()
    (path,) = files(tmp_path)
    assert {"hyperparameters": {"lr": 1e-3}} in [
        record["update"].get(CATEGORY) for record in records(path, "config")
    ]


def test_what_a_call_took_survives_a_kill_and_is_not_written_again(tmp_path):
    child(tmp_path, "offline", "1,2,2", "kill")
    assert steps(rows(tmp_path)) == [10, 20]
    child(tmp_path, "offline", "2,3")
    child(tmp_path, "offline", "3,4", "kill")
    assert len(files(tmp_path)) == 3
    assert steps(rows(tmp_path)) == [10, 20, 30, 40]


def test_it_says_nothing_and_leaves_signals_and_streams_alone(tmp_path, server):
    assert child(tmp_path / "offline", "offline", "1") == ""
    assert child(tmp_path / "online", "online", "1", server=server) == ""


def test_online_the_same_run_goes_on_after_a_restart(tmp_path, server):
    child(tmp_path, "online", "1,2", server=server)
    child(tmp_path, "online", "2,3", server=server)
    found = server.history(RUN)
    assert steps(found) == [10, 20, 30]
    assert [line["_step"] for line in found] == [0, 1, 2]
    assert server.configs[RUN][CATEGORY]["value"] == {"hyperparameters": {"lr": 1e-3}}
    assert all(os.path.exists(f"{path}.synced") for path in files(tmp_path))


def test_what_a_killed_process_did_not_upload_the_next_one_does(tmp_path, server):
    child(tmp_path, "online", "1,2", "kill", server=server)
    assert server.history(RUN) == []
    child(tmp_path, "online", "2,3", server=server)
    assert steps(server.history(RUN)) == [10, 20, 30]


def test_a_row_that_a_crash_tore_does_not_hold_up_the_others(tmp_path, server):
    child(tmp_path, "offline", "1,2", "kill")
    (path,) = files(tmp_path)
    os.truncate(path, os.path.getsize(path) - 5)
    child(tmp_path, "online", "2,3", server=server)
    assert steps(server.history(RUN)) == [10, 20, 30]


def test_what_the_server_refused_is_uploaded_at_the_next_start(tmp_path, server):
    server.refusal = 401
    child(tmp_path, "online", "1,2", server=server)
    assert server.refused
    assert server.history(RUN) == []
    server.refusal = 0
    child(tmp_path, "online", "3", server=server)
    assert steps(server.history(RUN)) == [10, 20, 30]


def test_many_buckets_are_merged_and_no_value_is_lost():
    summary = summarize([1.003**i for i in range(3_000)] + [0.0, -1.0], HISTOGRAM)
    drawn = histogram(summary)
    assert len(drawn.histogram) <= 512
    assert sum(drawn.histogram) == 3_002
    assert (drawn.bins[0], drawn.bins[-1]) == (summary.min, summary.max)
    assert drawn.bins == sorted(drawn.bins)


def test_a_keys_own_name_is_not_given_to_anothers_extra():
    values = {"loss": summarize([1.0, 3.0]), "loss/max": summarize([7.0])}
    found = points(values, example_period("c"), ["max"])
    assert found["c/loss/max"] == 7.0


def test_ids_are_legal_and_differ_for_different_runs():
    names = ["run-1", "a/b", "a-b", "a:b", "r" * 200, "r" * 201, "雪"]
    ids = [wandb_id(name) for name in names]
    assert len(set(ids)) == len(names)
    assert all(len(found) <= 64 and not set(found) & set(":;,#?/'") for found in ids)
    assert ids[0] == "run-1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "disabled"}, "online or offline"),
        ({"extra": ["median"]}, "p95"),
        ({"extra": "std"}, "list of strings"),
        ({"project": ""}, "project"),
        ({"project": "a/b"}, "cannot contain"),
        ({"timeout_s": 0}, "above 0"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_be_right(given, said):
    with pytest.raises(OptionError, match=said):
        WandbOptions(**given)
