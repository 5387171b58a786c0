"""What is wrong in a table `[writers.NAME]` is known when the daemon starts, not when a run begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aggregator.writers_process import install
from tests.system.daemons import Daemon, wait_until


def _refusal(tmp_path: Path, table: str, *options: str) -> str:
    config = tmp_path / "serve.toml"
    config.write_text(table)
    command = [sys.executable, "-m", "stats_aggregator", "serve", "--bind", "tcp://127.0.0.1:0"]
    command += ["--data-dir", str(tmp_path / "data"), "--results-dir", str(tmp_path / "results")]
    found = subprocess.run(
        [*command, "--config", str(config), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert found.returncode == 2, found.stderr
    assert found.stdout == "", "it never listened"
    (line,) = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("writer", "table", "words"),
    [
        ("csv", 'colour = "red"', ["writer csv refuses its options: OptionError: ", "colour"]),
        (
            "console",
            'style = "loud"',
            ["writer console refuses its options: OptionError: ", "loud"],
        ),
        ("csv", "max_backlog = 0", ["writers.csv.max_backlog is 0", "at least 1"]),
        ("csv", "max_memory_bytes = 5", ["writers.csv.max_memory_bytes is 5", "at least 67108864"]),
    ],
)
def test_a_wrong_option_ends_the_start_with_one_sentence(
    tmp_path: Path, writer: str, table: str, words: list[str]
) -> None:
    line = _refusal(tmp_path, f"[writers.{writer}]\n{table}\n", "--writer", writer)
    assert [word for word in words if word not in line] == []


BROKEN = "raise TypeError('made for another version')"


def test_strict_is_fatal_for_a_plugin_that_does_not_load_and_names_it(tmp_path: Path) -> None:
    install(tmp_path / "site", "broken", BROKEN)
    line = _refusal(tmp_path, "", "--writer", "jsonl", "--writer", "broken", "--strict")
    assert "writer broken of broken-plugin: TypeError: made for another version" in line


def test_without_strict_it_is_skipped_and_said(tmp_path: Path) -> None:
    install(tmp_path / "site", "broken", BROKEN)
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    with Daemon(tmp_path, "--writer", "jsonl", "--writer", "broken", environment=environment) as daemon:
        plugins = wait_until(lambda: _settled(daemon), "what becomes of both")
        assert (plugins["jsonl"]["state"], plugins["broken"]["state"]) == ("loaded", "failed")
        assert plugins["broken"]["pid"] is None
        wait_until(lambda: "writer broken of broken-plugin is skipped" in daemon.log.read_text(), "the line")
        assert daemon.stop() == 0


def _settled(daemon: Daemon) -> dict[str, dict[str, object]] | None:
    found = {plugin["plugin"]: plugin for plugin in daemon.status()["plugins"]}
    is_known = found["jsonl"]["state"] != "starting" and found["broken"]["state"] != "starting"
    return found if is_known and found["broken"]["pid"] is None else None


def test_a_strangers_plugin_is_not_made_before_there_is_a_run(tmp_path: Path) -> None:
    source = """
        from pathlib import Path
        def writers(options):
            Path(__file__).with_name("made").touch()
            raise ValueError(options.plugin_options["colour"])
    """
    install(tmp_path / "site", "other", source)
    config = tmp_path / "serve.toml"
    config.write_text('[writers.other]\ncolour = "red"\n')
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    options = ["--config", str(config), "--writer", "other", "--strict"]
    with Daemon(tmp_path, *options, environment=environment) as daemon:
        assert not (tmp_path / "site" / "made").exists()
        assert daemon.stop() == 0
