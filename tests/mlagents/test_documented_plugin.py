"""The plugin of ML-Agents' documentation, as its author installs it, beside a real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.system.daemons import Daemon

SETUP = """
from setuptools import find_packages, setup
from mlagents.plugins import ML_AGENTS_STATS_WRITER

setup(
    name="documented-plugin",
    version="0.0.1",
    packages=find_packages(),
    entry_points={
        ML_AGENTS_STATS_WRITER: ["documented=documented_plugin.writer:get_writers"],
    },
)
"""
WRITER = """
from typing import Dict, List

from mlagents.trainers.settings import RunOptions
from mlagents.trainers.stats import StatsSummary, StatsWriter


class PrintingWriter(StatsWriter):
    def write_stats(self, category: str, values: Dict[str, StatsSummary], step: int) -> None:
        for key, summary in values.items():
            print(f"PRINTED {category} at {step}: {key} = {summary.mean} of {summary.num}", flush=True)


def get_writers(run_options: RunOptions) -> List[StatsWriter]:
    print(f"MADE for {run_options.checkpoint_settings.run_id}", flush=True)
    return [PrintingWriter()]
"""


def write_plugin(directory: Path, setup: str = SETUP, writer: str = WRITER) -> Path:
    """Write the plugin's project."""
    (directory / "documented_plugin").mkdir(parents=True)
    (directory / "setup.py").write_text(dedent(setup))
    (directory / "documented_plugin" / "__init__.py").write_text("")
    (directory / "documented_plugin" / "writer.py").write_text(dedent(writer))
    return directory


def listed(python: str) -> dict[str, dict[str, str]]:
    """What `stats-aggregator plugins` says, by name."""
    command = [python, "-m", "stats_aggregator", "plugins", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def test_it_installs_by_one_command_and_its_output_is_seen(tmp_path: Path, beside_the_daemon: str) -> None:
    python = beside_the_daemon
    project = write_plugin(tmp_path / "project")
    install = [python, "-m", "stats_aggregator", "plugins", "install"]
    done = subprocess.run([*install, "--editable", str(project)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    try:
        found = listed(python)["documented"]
        assert (found["state"], found["group"], found["why"]) == ("loaded", "mlagents.stats_writer", "")
        assert found["distribution"] == "documented-plugin"
        with Daemon(tmp_path, "--no-writer", "console", python=python) as daemon:
            with StatsClient(daemon.address, run="first") as client:
                reporter = client.reporter("3DBall")
                reporter.add_stats("Environment/Cumulative Reward", [1.0, 2.0, 6.0])
                reporter.add_stat("Environment/Episodes", 3.0, StatsAggregationMethod.SUM)
                reporter.write_stats(500)
                assert client.flush(30)
            assert daemon.stop() == 0
        assert "MADE for first\n" in daemon.printed
        assert "PRINTED 3DBall at 500: Environment/Cumulative Reward = 3.0 of 3\n" in daemon.printed
        assert "PRINTED 3DBall at 500: Environment/Episodes = 3.0 of 1\n" in daemon.printed
    finally:
        uninstall = [sys.executable, "-m", "pip", "--python", python, "uninstall", "-yq", "documented-plugin"]
        subprocess.run(uninstall, check=True)


def test_pip_alone_installs_one_whose_setup_names_the_group_itself(
    tmp_path: Path, beside_the_daemon: str
) -> None:
    setup = SETUP.replace("from mlagents.plugins import", "#").replace(
        "ML_AGENTS_STATS_WRITER:", '"mlagents.stats_writer":'
    )
    setup = setup.replace("documented-plugin", "plain-plugin").replace("documented=", "plain=")
    project = write_plugin(tmp_path / "project", setup)
    pip = [beside_the_daemon, "-m", "pip", "--quiet"]
    subprocess.run(
        [*pip, "install", "--no-build-isolation", "--no-index", str(project)], check=True, timeout=100
    )
    assert listed(beside_the_daemon)["plain"]["state"] == "loaded"


def test_pip_without_the_command_does_not_find_the_names(tmp_path: Path, beside_the_daemon: str) -> None:
    pip = [beside_the_daemon, "-m", "pip", "install", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, str(write_plugin(tmp_path / "project"))], capture_output=True, text=True, timeout=100
    )
    assert done.returncode != 0
    assert "No module named 'mlagents'" in done.stdout + done.stderr
