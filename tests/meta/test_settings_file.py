"""deploy/stats-aggregator.toml has every setting, with its default."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from stats_aggregator.metrics.settings import Gauges
from stats_aggregator.server.config import _PARSERS, Config, load_config
from stats_aggregator_writers.console import ConsoleOptions
from stats_aggregator_writers.tensorboard import EXTRAS, TensorBoardOptions
from tests.meta.repository import ROOT

FILE = ROOT / "deploy" / "stats-aggregator.toml"
TEXT = FILE.read_text()


def test_it_says_what_holds_without_it():
    assert replace(load_config({}, {}, FILE), writers={}) == Config()


def test_it_has_every_setting_once():
    serve = TEXT[TEXT.index("\n[serve]\n") : TEXT.index("\n[periods]\n")]
    assert sorted(re.findall(r"^(?:# )?(\w+) = ", serve, re.MULTILINE)) == sorted(_PARSERS)


def test_it_has_every_setting_of_the_pages():
    section = TEXT[TEXT.index("[http]\n") :].split("\n\n")[0]
    assert re.findall(r"^(\w+) = ", section, re.MULTILINE) == list(Gauges._fields)


def test_what_it_leaves_out_may_be_written_as_it_says(tmp_path):
    file = tmp_path / "all.toml"
    file.write_text(re.sub(r'^# (\S+ = ["\[])', r"\1", TEXT, flags=re.MULTILINE))
    found = load_config({}, {}, file)
    assert found.address_file == Path("/shared/stats-aggregator.address")
    assert found.data_dir == Path("/var/lib/stats-aggregator/data")
    assert found.run_id == "ppo-seed-1"
    assert found.http == "127.0.0.1:5758"
    assert [glob for glob, _ in found.periods] == ["eval/*"]
    assert found.writers["console"]["keys"] == ["Environment/*", "Losses/*"]


@pytest.mark.parametrize(
    ("name", "options"), [("console", ConsoleOptions), ("tensorboard", TensorBoardOptions)]
)
def test_it_has_the_options_of_the_standard_writers(name, options):
    table = load_config({}, {}, FILE).writers[name]
    made, default = options(**table), options()
    # TOML has lists where the defaults are tuples.
    assert {name: value or None for name, value in vars(made).items()} == {
        name: value or None for name, value in vars(default).items()
    }
    section = TEXT[TEXT.index(f"[writers.{name}]") :].split("\n\n")[0]
    assert set(re.findall(r"^(?:# )?(\w+) = ", section, re.MULTILINE)) == set(vars(default))


def test_it_names_every_extra_of_tensorboard():
    section = TEXT[TEXT.index("[writers.tensorboard]") :]
    assert set(re.findall(r'"(\w+)"', section)) == set(EXTRAS)
