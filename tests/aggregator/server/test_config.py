"""Config: who wins, and what a wrong setting is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator.errors import SettingError
from stats_aggregator.journal.journal import Durability
from stats_aggregator.metrics.settings import Gauges
from stats_aggregator.periods.every import Every, Mode
from stats_aggregator.server.config import Config, load_config


def load(tmp_path: Path, toml: str = "", environment: dict[str, str] | None = None, **flags: Any) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(toml, encoding="utf-8")
    return load_config(flags, environment or {}, path)


def test_the_later_counts_of_defaults_file_environment_and_flags(tmp_path):
    toml = '[serve]\nevery = "1s"\ngrace = "1s"\nrun_id = "file"\n'
    found = load(
        tmp_path, toml, {"STATS_AGGREGATOR_GRACE": "3s", "STATS_AGGREGATOR_RUN_ID": "env"}, run_id="flag"
    )
    assert found.every == Every(Mode.TIME, 10**9)
    assert (found.grace_ns, found.run_id, found.durability) == (3 * 10**9, "flag", Durability.FULL)


def test_nothing_at_all_gives_the_defaults_that_the_readme_promises():
    found = load_config({}, {})
    assert (found.bind, found.every, found.results_dir) == (
        "tcp://127.0.0.1:5757",
        Every(Mode.AUTO),
        Path("results"),
    )
    assert (found.retain_values, found.ingress_bytes, found.drain_timeout_ns) == (65536, 256 << 20, 8 * 10**9)
    assert (found.close_on_stop, found.strict, found.run_id, found.writer) == (False, False, None, ())


def test_a_file_may_set_everything(tmp_path):
    toml = """
    [serve]
    bind = "tcp://0.0.0.0:0"
    http = "0.0.0.0:0"
    auth = "off"
    address_file = "a"
    data_dir = "d"
    results_dir = "~/r"
    writer = ["csv", "jsonl"]
    no_writer = "console, csv"
    durability = "process"
    close_on_stop = true
    strict = true
    drain_timeout = "1m"
    retain_values = 10
    ingress_bytes = 2000000
    retention = "1d"
    [periods]
    "eval/*" = "manual"
    "3DBall" = "100 steps"
    [http]
    keys = ["Environment/*", "a,b"]
    max_gauges = 10
    [writers.csv]
    keys = ["a*"]
    """
    found = load(tmp_path, toml)
    assert found.writer == ("csv", "jsonl")
    assert found.no_writer == ("console", "csv")
    assert found.results_dir == Path.home() / "r"
    assert found.cut.of("eval/a") == Every(Mode.MANUAL)
    assert found.cut.of("3DBall") == Every(Mode.STEPS, steps=100)
    assert found.cut.of("other") == Every(Mode.AUTO)
    assert found.writers == {"csv": {"keys": ["a*"]}}
    assert found.gauges == Gauges(("Environment/*", "a,b"), 10)
    assert (found.close_on_stop, found.strict, found.retention_ns) == (True, True, 86_400 * 10**9)


def test_pages_are_off_unless_set(tmp_path):
    assert (load_config({}, {}).http, load_config({}, {}).gauges) == (None, Gauges((), 1000))
    assert load(tmp_path, http="localhost:0").http == "localhost:0"
    assert load(tmp_path, environment={"STATS_AGGREGATOR_HTTP": "[::1]:0"}).http == "[::1]:0"
    with pytest.raises(SettingError, match=r"^--http is '\*:1'.*--auth off"):
        load(tmp_path, http="*:1")


def test_windows_are_those_of_all_time_periods_in_use(tmp_path):
    found = load(tmp_path, '[periods]\na = "1s"\nb = "manual"\nc = "100 steps"\nd = "auto"\n', every="5s")
    assert found.windows_ns() == (10**9, 5 * 10**9, 10 * 10**9)


@pytest.mark.parametrize(
    ("toml", "called", "value", "right"),
    [
        ("[serve]\nevery = 10", "every in", "10", "a text"),
        ('[serve]\nevery = "often"', "every in", "'often'", '"auto"'),
        ('[serve]\ngrace = "2"', "grace in", "'2'", "a number and a unit"),
        ('[serve]\ndurability = "fast"', "durability in", "'fast'", '"full" or "process" or "none"'),
        ("[serve]\nretain_values = 0", "retain_values in", "0", "a whole number, 1 or more"),
        ("[serve]\nretain_values = 2.5", "retain_values in", "2.5", "a whole number"),
        ("[serve]\nretain_values = inf", "retain_values in", "inf", "a whole number"),
        ("[serve]\nretain_values = true", "retain_values in", "True", "a whole number"),
        ("[serve]\ningress_bytes = 5", "ingress_bytes in", "5", "1048576 or more"),
        ("[serve]\nstrict = 1", "strict in", "1", "true or false"),
        ("[serve]\nwriter = [1]", "writer in", "[1]", "a list of names"),
        ('[serve]\nrun_id = "a\\nb"', "run_id in", "'a\\nb'", "without control and format characters"),
        ('[serve]\nbind = "tcp://0.0.0.0:5757"', "bind in", "'tcp://0.0.0.0:5757'", "--auth off"),
        ('[serve]\nhttp = "0.0.0.0:5758"', "http in", "'0.0.0.0:5758'", "--auth off"),
        ("[serve]\nhttp = 5758", "http in", "5758", "a text"),
        ("http = 1", "http in", "1", "a table such as [http]"),
        ('[http]\nkeys = "a,b"', "keys in", "'a,b'", "a list of patterns"),
        ("[http]\nkeys = [1]", "keys in", "[1]", "a list of patterns"),
        ("[http]\nmax_gauges = 0", "max_gauges in", "0", "from 1 to 100000"),
        ("[http]\nport = 1", "a setting in [http]", "'port'", "one of keys, max_gauges"),
        ('[serve]\nauth = "none"', "auth in", "'none'", '"keys" or "off"'),
        ("[serve]\nport = 1", "a setting in [serve]", "'port'", "one of bind, "),
        ("[server]\nport = 1", "a table of", "'server'", "[serve], [periods], [http] or [writers.NAME]"),
        ("periods = 1", "periods in", "1", "a table such as [periods]"),
        ('[periods]\n"eval/*" = 5', "[periods] 'eval/*' in", "'5'", '"auto"'),
        ("[writers]\ncsv = 1", "writers in", "{'csv': 1}", "[writers.console]"),
        ("serve = ", "--config", "config.toml'", "a TOML file: "),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_would_be_right(
    tmp_path, toml, called, value, right
):
    with pytest.raises(SettingError) as caught:
        load(tmp_path, toml)
    text = str(caught.value)
    assert text.startswith(called)
    assert value in text.split("; right would be ")[0]
    assert right in text.split("; right would be ")[1]


def test_a_setting_is_called_as_it_was_given(tmp_path):
    with pytest.raises(SettingError, match=r"^--drain-timeout is 'x'"):
        load(tmp_path, drain_timeout="x")
    with pytest.raises(SettingError, match=r"^STATS_AGGREGATOR_EVERY is 'x'"):
        load(tmp_path, environment={"STATS_AGGREGATOR_EVERY": "x"})
    with pytest.raises(SettingError, match=r"^STATS_AGGREGATOR_STRICT is 'maybe'"):
        load(tmp_path, environment={"STATS_AGGREGATOR_STRICT": "maybe"})
    with pytest.raises(SettingError, match=r"^--bind is ''; right would be a text"):
        load(tmp_path, bind="")


def test_a_config_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(
        SettingError, match=r"^--config is .*; right would be a file that can be read: No such"
    ):
        load_config({}, {}, tmp_path / "none.toml")
    (tmp_path / "latin").write_bytes(b"# \xff\n")
    with pytest.raises(SettingError, match="a TOML file"):
        load_config({}, {}, tmp_path / "latin")


def test_a_user_without_a_home_is_told_to_name_the_data_directory(tmp_path, monkeypatch):
    for variable in ("HOME", "XDG_STATE_HOME", "SLURM_TMPDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123_456_789)  # pathlib asks for its home
    with pytest.raises(SettingError, match="--data-dir"):
        load_config({}, {})
    assert load_config({"data_dir": str(tmp_path)}, {}).data_dir == tmp_path
