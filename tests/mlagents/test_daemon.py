"""Plugins of ML-Agents in a real daemon, several at once, each in its own process."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from stats_aggregator_api import ML_AGENTS_STATS_WRITER
from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.aggregator.writers_process import install
from tests.mlagents.wild import HEAD, points
from tests.system.daemons import Daemon, wait_until

COLLECTOR = """
class Collector(StatsWriter):
    def __init__(self, path):
        # Only the thread that makes it may use it.
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS seen (step, key, collected, num, mean)")
        self.collected = {}
    def on_add_stat(self, category, key, value, aggregation=StatsAggregationMethod.AVERAGE):
        self.collected.setdefault(key, []).append((value, aggregation.name))
    def write_stats(self, category, values, step):
        for key, summary in values.items():
            row = (step, key, json.dumps(self.collected.pop(key, [])), summary.num, round(summary.mean, 6))
            self.database.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", row)
        self.database.commit()
def writers(options):
    os.makedirs(options.checkpoint_settings.write_path, exist_ok=True)
    return [Collector(os.path.join(options.checkpoint_settings.write_path, "seen.sqlite"))]
"""
VANDAL = """
class Vandal(StatsWriter):
    def write_stats(self, category, values, step):
        for key in list(values):
            values[key].full_dist[:] = [0.0]
            del values[key]
        print("VANDAL", category, step, len(values), flush=True)
def writers(options): return [Vandal()]
"""
DRAWER = """
class Drawer(StatsWriter):
    def write_stats(self, category, values, step):
        for writer in StatsReporter.writers:
            if isinstance(writer, TensorboardWriter):
                summary = StatsSummary(float(step), StatsAggregationMethod.AVERAGE)
                writer.write_stats(category, {"drawn": summary}, step)
def writers(options): return [Drawer()]
"""


def add_plugins(site: Path, **sources: str) -> dict[str, str]:
    """Install plugins; return what a daemon needs in its environment to find them."""
    for name, source in sources.items():
        install(site, name, HEAD + source, group=ML_AGENTS_STATS_WRITER)
    return {"PYTHONPATH": str(site)}


def rows_of(path: Path) -> list[tuple[int, str, str, int, float]]:
    """What the collector has written so far."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchall():
            return []
        return database.execute("SELECT step, key, collected, num, mean FROM seen").fetchall()


def test_they_collect_draw_and_mutate_and_each_has_the_true_figures(
    tmp_path: Path, beside_the_daemon: str
) -> None:
    database = tmp_path / "results" / "r" / "seen.sqlite"
    environment = add_plugins(tmp_path / "site", collector=COLLECTOR, vandal=VANDAL, drawer=DRAWER)
    options = ("--no-writer", "console")
    with Daemon(tmp_path, *options, environment=environment, python=beside_the_daemon) as daemon:
        with StatsClient(daemon.address, run="r") as client:
            reporter = client.reporter("3DBall")
            reporter.add_stats("reward", [1.0, 2.0])
            reporter.write_stats(100)
            assert client.flush(30)
            # Values of a run's beginning come before the writers that would be shown them.
            wait_until(lambda: rows_of(database), "the collector has the first period")
            reporter.add_stats("reward", [4.0, 5.0])
            reporter.add_stat("episodes", 1.0, StatsAggregationMethod.SUM)
            reporter.write_stats(200)
            assert client.flush(30)
        assert daemon.stop() == 0
    rows = rows_of(database)
    found = {(step, key): (json.loads(collected), num, mean) for step, key, collected, num, mean in rows}
    assert {name: figures[1:] for name, figures in found.items()} == {
        (100, "reward"): (2, 1.5), (200, "reward"): (2, 4.5), (200, "episodes"): (1, 1.0),
    }  # fmt: skip
    assert found[200, "reward"][0] == [[4.0, "AVERAGE"], [5.0, "AVERAGE"]]
    assert found[200, "episodes"][0] == [[1.0, "SUM"]]
    assert "VANDAL 3DBall 200 0\n" in daemon.printed
    drawn = points(daemon.results / "r" / "3DBall")
    assert drawn["drawn"] == [(100, 100.0), (200, 200.0)]
    assert drawn["reward"] == [(100, 1.5), (200, 4.5)]


def test_one_that_needs_more_is_skipped_with_a_sentence_and_strict_heeds_it(
    tmp_path: Path, beside_the_daemon: str
) -> None:
    source = "from mlagents.trainers.ppo.trainer import PPOTrainer\ndef writers(options): return []"
    environment = {**os.environ, **add_plugins(tmp_path / "site", greedy=source, vandal=VANDAL)}
    command = [beside_the_daemon, "-m", "stats_aggregator", "check", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (
        "warning: writer greedy (greedy-plugin 1.0) is skipped: NotProvided: mlagents.trainers.ppo is not"
        in (done.stderr)
    )
    assert "vandal" in done.stdout
    strict = subprocess.run(
        [*command, "--strict"], env=environment, capture_output=True, text=True, check=False
    )
    assert strict.returncode == 2


@pytest.mark.parametrize(
    "package", ["stats_aggregator_api", "stats_aggregator_client", "stats_aggregator_mlagents.adapter"]
)
def test_importing_a_package_of_ours_provides_nothing(package: str, beside_the_daemon: str) -> None:
    code = f"""
        import importlib.util, sys
        import {package}
        assert importlib.util.find_spec("mlagents") is None
        assert not any(name.startswith("mlagents") for name in sys.modules)
        print("clean")
    """
    done = subprocess.run([beside_the_daemon, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "clean\n"


def test_a_plugin_of_our_own_group_sees_no_names(tmp_path: Path, beside_the_daemon: str) -> None:
    source = """
        import importlib.util
        from stats_aggregator_api import StatsWriter
        class Writer(StatsWriter):
            def write_stats(self, category, values, step):
                print("NAMES", importlib.util.find_spec("mlagents"), flush=True)
        def writers(options): return [Writer()]
    """.replace("NAMES", "FOUND")
    install(tmp_path / "site", "ours", source)
    environment = {**add_plugins(tmp_path / "site", vandal=VANDAL)}
    with Daemon(
        tmp_path, "--no-writer", "console", environment=environment, python=beside_the_daemon
    ) as daemon:
        with StatsClient(daemon.address, run="r") as client:
            reporter = client.reporter("3DBall")
            reporter.write_stats(100)
            assert client.flush(30)
        assert daemon.stop() == 0
    assert "FOUND None\n" in daemon.printed
