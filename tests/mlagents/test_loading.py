"""How plugins of ML-Agents are imported, told of their run, asked for writers, and what is not provided."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stats_aggregator.dispatch.plugins import Selection, discover
from stats_aggregator.dispatch.tap import overrides_on_add_stat
from stats_aggregator.errors import RegistrationFault
from stats_aggregator_api import (
    CheckpointSettings,
    RunOptions,
)
from stats_aggregator_api.testing import summarize
from stats_aggregator_mlagents.errors import NotProvided
from tests.mlagents.wild import HEAD, METHOD, Load, period, write


def test_every_name_that_plugins_import_is_there(loaded: Load) -> None:
    plugin = loaded(HEAD + "def writers(options): return []")
    assert (plugin.entry.state, plugin.entry.why) == ("loaded", "")


def test_only_an_override_of_on_add_stat_asks_for_values(make: Any) -> None:
    source = """
        class Quiet(StatsWriter):
            def write_stats(self, category, values, step): pass
        class Listening(Quiet):
            def on_add_stat(self, category, key, value, aggregation): pass
        class Later(Listening): pass
        class ByInstance(Quiet):
            def __init__(self): self.on_add_stat = lambda *call: SEEN.append(call[2])
        class NoBase:
            def write_stats(self, category, values, step): SEEN.append(step)
        def writers(options):
            return [Quiet(), TensorboardWriter("x"), NoBase(), Listening(), Later(), ByInstance()]
    """
    writers, seen = make(source)
    assert [overrides_on_add_stat(writer) for writer in writers] == [False] * 3 + [True] * 3
    assert [type(writer).__qualname__ for writer in writers[:4]] == [
        "Quiet",
        "TensorboardWriter",
        "NoBase",
        "Listening",
    ]
    writers[5].on_add_stat("c", "k", 7.0, METHOD.AVERAGE)
    write(writers[2], period({}, step=9))
    assert seen == [7.0, 9]


def test_close_is_called_where_there_is_one_and_may_be_missing(make: Any) -> None:
    source = """
        class Without(StatsWriter):
            def write_stats(self, category, values, step): pass
        class With(Without):
            def close(self): SEEN.append("closed")
        def writers(options): return [Without(), With()]
    """
    writers, seen = make(source)
    for writer in writers:
        writer.close()
    assert seen == ["closed"]


def test_writers_that_are_added_while_it_registers_are_called(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def __init__(self, name): self.name = name
            def write_stats(self, category, values, step): SEEN.append(self.name)
        def writers(options):
            StatsReporter.add_writer(Writer("added"))
            both = Writer("both")
            StatsReporter.add_writer(both)
            return [Writer("returned"), both]
    """
    writers, seen = make(source)
    for writer in writers:
        write(writer, period({}))
    assert sorted(seen) == ["added", "both", "returned"]


def test_run_options_have_what_ml_agents_has(make: Any, tmp_path: Path) -> None:
    source = """
        def writers(options: RunOptions):
            assert isinstance(options, RunOptions)
            settings = options.checkpoint_settings
            SEEN.append((settings.run_id, settings.resume, settings.write_path, settings.run_logs_dir))
            SEEN.append((options.env_settings.num_envs, options.engine_settings.width))
            SEEN.append((options.torch_settings.device, options.behaviors, options.default_settings))
            SEEN.append((options.debug, options.environment_parameters))
            SEEN.append(options.as_dict()["checkpoint_settings"]["run_id"])
            SEEN.append(options.plugin_options)
            return []
    """
    _, seen = make(source, colour="red")
    path = str(tmp_path / "results" / "run")
    assert seen == [
        ("run", True, path, f"{path}/run_logs"),
        (1, 84),
        (None, {}, None),
        (False, None),
        "run",
        {"colour": "red"},
    ]


def test_a_run_whose_name_leads_out_of_the_results_does_not(loaded: Load, tmp_path: Path) -> None:
    source = "def writers(options):\n SEEN.append(options.checkpoint_settings.write_path)\n return []"
    plugin = loaded(HEAD + source)
    assert plugin.register is not None
    plugin.register(
        RunOptions(checkpoint_settings=CheckpointSettings(run_id="../../x", results_dir=str(tmp_path)))
    )
    (path,) = __import__("theirs_plugin_theirs").SEEN
    assert Path(path).parent == tmp_path


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("from mlagents.trainers.stats import SummaryWriter", "mlagents.trainers.stats.SummaryWriter"),
        (
            "from mlagents.trainers.settings import TrainerSettings",
            "mlagents.trainers.settings.TrainerSettings",
        ),
        ("import mlagents.trainers.ppo.trainer", "mlagents.trainers.ppo"),
        ("from mlagents_envs.environment import UnityEnvironment", "mlagents_envs.environment"),
        ("from mlagents.torch_utils import torch", "mlagents.torch_utils"),
    ],
)
def test_what_is_not_provided_is_a_sentence_that_names_it_and_the_plugin_is_skipped(
    loaded: Load, statement: str, name: str
) -> None:
    entry = loaded(f"{HEAD}{statement}\ndef writers(options): return []").entry
    assert (entry.state, entry.why) == (
        "failed",
        f"NotProvided: {name} is not provided by stats-aggregator-mlagents; install mlagents itself beside "
        "the daemon, or leave the plugin out",
    )


def test_another_import_that_fails_is_not_ours_to_explain(loaded: Load) -> None:
    entry = loaded(f"{HEAD}import nowhere_to_be_found\ndef writers(options): return []").entry
    assert entry.why == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"


def test_a_plugin_may_ask_whether_a_name_is_there(loaded: Load) -> None:
    source = """
        try:
            from mlagents.trainers.ppo import trainer
        except ImportError:
            trainer = None
        def writers(options): return []
    """
    assert loaded(HEAD + dedent(source)).entry.state == "loaded"


def test_what_it_returns_is_judged_as_that_of_any_plugin(make: Any) -> None:
    with pytest.raises(RegistrationFault, match="returned None, no list"):
        make("def writers(options): pass")


def test_ml_agents_own_default_is_not_run_beside_ours(site: Path, loaded: Load) -> None:
    entry = loaded("raise AssertionError('imported')", "default", distribution="mlagents").entry
    assert entry.state == "disabled"
    assert "--add-writer" in entry.why

    def state(selection: Selection) -> str:
        (found,) = [plugin.entry for plugin in discover(selection) if plugin.entry.name == "default"]
        return found.state

    assert state(Selection(add=("default",))) == state(Selection(writers=("default",))) == "selected"
    assert state(Selection(writers=("csv",))) == "disabled"


def test_each_run_sees_its_own_writers_and_a_thread_of_the_plugin_sees_the_newest(make: Any) -> None:
    source = """
        import threading
        class Writer(StatsWriter):
            def __init__(self, run): self.run = run
            def write_stats(self, category, values, step):
                mine = [w.run for w in StatsReporter.writers[3:]]
                thread = threading.Thread(target=lambda: SEEN.append(len(StatsReporter.writers + [])))
                thread.start(); thread.join()
                SEEN.append((mine, self in StatsReporter.writers, StatsReporter.writers[0].base_dir[-4:]))
        def writers(options): return [Writer(options.plugin_options["run"])]
    """
    (first,), seen = make(source, run=1)
    with ThreadPoolExecutor(1) as other:
        ((second,), _) = other.submit(make, source, run=2).result()
        other.submit(write, second, period({})).result()
    write(first, period({}))
    assert seen == [4, ([2], True, "/run"), 4, ([1], True, "/run")]


def test_an_installed_package_that_does_not_import_is_replaced_and_that_is_said(
    loaded: Load, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainers = site / "mlagents" / "trainers"
    trainers.mkdir(parents=True)
    for package in (trainers.parent, trainers):
        (package / "__init__.py").write_text("")
    (trainers.parent / "plugins.py").write_text("ML_AGENTS_STATS_WRITER = 'mlagents.stats_writer'")
    (trainers / "settings.py").write_text("")
    (trainers / "stats.py").write_text("from torch_that_is_not_here import Tensor")
    assert loaded(HEAD + "def writers(options): return []").entry.state == "loaded"
    assert "mlagents is installed but does not import (ModuleNotFoundError: No module named 'torch_that" in (
        caplog.text
    )


def test_with_the_environments_package_alone_its_enum_is_everywhere(make: Any, site: Path) -> None:
    package = site / "mlagents_envs"
    (package / "side_channel").mkdir(parents=True)
    for directory in (package, package / "side_channel"):
        (directory / "__init__.py").write_text("")
    (package / "logging_util.py").write_text("from logging import getLogger as get_logger")
    (package / "timers.py").write_text("def set_gauge(name, value, timer_stack=None): pass")
    (package / "side_channel" / "stats_side_channel.py").write_text(
        "from enum import Enum\n"
        "names = 'AVERAGE MOST_RECENT SUM HISTOGRAM'\n"
        "StatsAggregationMethod = Enum('StatsAggregationMethod', names, start=0)"
    )
    source = """
        class Writer(TensorboardWriter):
            def write_stats(self, category, values, step):
                SEEN.append(StatsAggregationMethod is FromTheChannel)
                SEEN.append(values["k"].aggregation_method is FromTheChannel.SUM)
                SEEN.append(float(StatsSummary([1.0, 2.0], FromTheChannel.SUM).aggregated_value))
                super().write_stats(category, values, step)
        def writers(options): return [Writer(options.checkpoint_settings.write_path)]
    """
    (writer,), seen = make(source)
    write(writer, period({"k": summarize([1.0, 2.0], METHOD.SUM)}))
    assert seen == [True, True, 3.0]


def test_an_import_in_the_middle_of_a_call_finds_the_names_and_what_is_missing_is_named(make: Any) -> None:
    source = """
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                from mlagents.trainers.settings import CheckpointSettings
                SEEN.append(CheckpointSettings.__name__)
                from mlagents.trainers.sac import trainer
        def writers(options): return [Writer()]
    """
    (writer,), seen = make(source)
    with pytest.raises(NotProvided, match=r"mlagents\.trainers\.sac is not provided"):
        write(writer, period({}))
    assert seen == ["CheckpointSettings"]
