"""A plugin as its author lives it: installed by pip beside the daemon, found, loaded, called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from tests.system.daemons import Daemon

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a new environment with the daemon and the example plugin, installed by pip."""
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    parts = ("plugins/api", "worker_client", "plugins/standard", "aggregator", "plugins/example")
    install = [python, "-m", "pip", "install", "-q", "--no-compile", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*install, *(str(ROOT / part) for part in parts)], check=True)
    return python


@pytest.mark.slow
@pytest.mark.timeout(300)
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
