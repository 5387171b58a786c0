"""RunOptions, Period and PeriodSummaries: what a plugin is told."""

import os
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stats_aggregator_api import Cause, CheckpointSettings, Period, PeriodSummaries, RunOptions
from stats_aggregator_api.testing import example_period, summarize


def test_a_run_writes_below_the_results_directory_whatever_it_is_called():
    settings = CheckpointSettings(run_id="../up", results_dir="out")
    assert os.path.dirname(settings.write_path) == "out"
    assert os.path.dirname(settings.run_logs_dir) == settings.write_path
    assert settings.maybe_init_path is None
    assert CheckpointSettings(initialize_from="a/b", results_dir="out").maybe_init_path.count(os.sep) == 1


def test_a_plugin_that_asks_is_told_to_resume():
    assert RunOptions().checkpoint_settings.resume is True
    assert RunOptions().checkpoint_settings.force is False


def test_as_dict_is_plain_and_has_the_ancestors_attributes():
    told = RunOptions(plugin_options={"url": "x"}).as_dict()
    assert told["plugin_options"] == {"url": "x"}
    assert told["checkpoint_settings"]["run_id"] == "default"
    assert set(told) == {
        "default_settings", "behaviors", "env_settings", "engine_settings", "environment_parameters",
        "checkpoint_settings", "torch_settings", "debug", "plugin_options",
    }  # fmt: skip


def test_period_summaries_is_a_mapping_with_a_period_that_nobody_can_change():
    given = {"a": summarize([1.0])}
    values = PeriodSummaries(example_period(), given)
    given["b"] = summarize([2.0])
    assert list(values) == ["a"]
    assert dict(values) == {"a": summarize([1.0])}
    assert "b" not in values
    with pytest.raises(TypeError):
        values["a"] = summarize([2.0])
    with pytest.raises(FrozenInstanceError):
        values.period.step = 2


def test_period_summaries_survives_a_pipe():
    values = PeriodSummaries(example_period(), {"a": summarize([1.0])})
    copy = pickle.loads(pickle.dumps(values))
    assert (copy.period, dict(copy)) == (values.period, dict(values))


def test_a_period_made_without_them_misses_nobody_and_does_not_tell_why_it_ended():
    period = Period("r", "c", 1, "a", 0, 1, 0)
    assert (period.missing, period.cause) == ((), Cause.UNKNOWN)


def test_a_cause_is_the_text_that_is_stored_and_any_other_text_is_none_that_is_known():
    assert [Cause(cause.value) for cause in Cause] == list(Cause)
    assert Cause("left") is Cause.LEFT
    assert Cause("grace") is Cause.UNKNOWN
    assert pickle.loads(pickle.dumps(Cause.LEFT)) is Cause.LEFT
