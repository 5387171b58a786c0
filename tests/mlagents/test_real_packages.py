"""A plugin beside the daemon where ML-Agents itself is installed: its own classes are used."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.mlagents.test_daemon import add_plugins
from tests.mlagents.wild import points
from tests.system.daemons import Daemon, wait_until

WITNESS = """
import mlagents.trainers.stats
class Witness(StatsWriter):
    def write_stats(self, category, values, step):
        summary = values["reward"]
        facts = [
            mlagents.trainers.stats.__file__.split(os.sep)[-4] == "site-packages",
            isinstance(summary, StatsSummary), summary.aggregation_method is FromTheChannel.SUM,
            summary.num, float(summary.sum), float(summary.aggregated_value), summary.full_dist,
            [type(writer).__module__ for writer in StatsReporter.writers[:3]],
        ]
        print("FACTS", json.dumps(facts), flush=True)
        for writer in StatsReporter.writers:
            if type(writer) is TensorboardWriter:
                drawn = StatsSummary(2.5, StatsAggregationMethod.AVERAGE)
                writer.write_stats(category, {"drawn": drawn}, step)
    def on_add_stat(self, category, key, value, aggregation=StatsAggregationMethod.AVERAGE):
        SEEN.append(value)
def writers(options: RunOptions):
    assert isinstance(options, RunOptions)
    assert options.as_dict()["checkpoint_settings"]["resume"] is True
    print("PATH", options.checkpoint_settings.write_path, options.plugin_options, flush=True)
    return [Witness()]
"""


def state(daemon: Daemon) -> str:
    (found,) = [plugin["state"] for plugin in daemon.status()["plugins"] if plugin["plugin"] == "witness"]
    return str(found)


@pytest.mark.timeout(300)
def test_it_uses_them_and_their_default_is_not_loaded_beside_ours(tmp_path: Path, real_python: str) -> None:
    environment = add_plugins(tmp_path / "site", witness=WITNESS)
    with Daemon(tmp_path, "--no-writer", "console", environment=environment, python=real_python) as daemon:
        with StatsClient(daemon.address, run="a/b") as client:
            reporter = client.reporter("3DBall")
            reporter.add_stats("reward", [1.0, 2.0], StatsAggregationMethod.SUM)
            reporter.write_stats(100)
            assert client.flush(30)
        wait_until(lambda: state(daemon) == "loaded", "it is loaded; it imports PyTorch first", 60)
        assert daemon.stop() == 0
    (line,) = [line for line in daemon.printed.splitlines() if line.startswith("FACTS ")]
    own = "mlagents.trainers.stats"
    assert json.loads(line[6:]) == [True, True, True, 2, 3.0, 3.0, [1.0, 2.0], [own, own, own]]
    directory = daemon.results / "a%2Fb"
    assert f"PATH {directory} {{}}" in daemon.printed
    found = points(directory / "3DBall")
    assert (found["reward"], found["drawn"]) == ([(100, 3.0)], [(100, 2.5)])
    command = [real_python, "-m", "stats_aggregator", "plugins", "--json"]
    listed = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    states = {entry["name"]: entry["state"] for entry in json.loads(listed.stdout)}
    assert (states["default"], states["witness"]) == ("disabled", "loaded")
