"""A plugin as its author lives it: installed by pip beside the daemon, found, loaded, called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from tests.environments import new_environment
from tests.system.daemons import Daemon


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a new environment with the daemon and the example plugin, installed by pip."""
    parts = ("plugins/api", "worker_client", "plugins/standard", "aggregator", "plugins/example")
    python = new_environment(tmp_path_factory.mktemp("fresh") / "venv", parts, shared=True)
    # Nothing that they say they need is missing or too old.
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "check"], check=True)
    return python


def test_an_installed_plugin_is_found_loaded_and_called(tmp_path: Path, fresh_python: str) -> None:
    listed = subprocess.run(
        [fresh_python, "-m", "stats_aggregator", "plugins", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {plugin["name"]: plugin for plugin in json.loads(listed.stdout)}
    assert set(found) == {"console", "tensorboard", "csv", "jsonl", "example"}
    example = found["example"]
    assert (example["distribution"], example["state"]) == ("stats-aggregator-example", "loaded")
    assert (found["console"]["state"], found["csv"]["state"]) == ("loaded", "disabled")

    with Daemon(tmp_path, "--no-writer", "console", python=fresh_python) as daemon:
        with StatsClient(daemon.address, run="run") as client:
            reporter = client.reporter("3DBall")
            reporter.add_stats("reward", [1.0, 2.0, 6.0])
            reporter.write_stats(500)
            assert client.flush(30)
        assert daemon.stop() == 0
        assert "[example] 3DBall step 500 reward = 3\n" in daemon.printed
