"""The W&B writer in a real daemon: found by its entry point, and the same run after a kill."""

import os

import pytest

pytest.importorskip("wandb", reason="no wandb here: `make test-integrations` has it")

from stats_aggregator_client import StatsClient
from tests.integrations.wandb_records import rows
from tests.system.daemons import Daemon, wait_until


def report(daemon, *values):
    with StatsClient(daemon.address, run="run-1") as client:
        reporter = client.reporter("3DBall")
        for value in values:
            reporter.add_stats("reward", [value, value + 2])
            reporter.write_stats(int(value))
        assert client.flush(30)


def test_the_run_goes_on_after_the_daemon_was_killed(tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text('[writers.wandb]\nmode = "offline"\n')
    environment = {"HOME": str(tmp_path), "WANDB_API_KEY": "", "PYTHONPATH": os.getcwd()}
    options = ("--config", str(config), "--writer", "wandb", "--strict")
    results = tmp_path / "daemon" / "results" / "run-1"
    with Daemon(tmp_path / "daemon", *options, environment=environment) as daemon:
        report(daemon, 10, 20)
        wait_until(lambda: len(rows(results)) == 2, "two rows")
        daemon.kill()
        daemon.start()
        report(daemon, 30, 40)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log.read_text()
    found = rows(results)
    assert [line["3DBall/Step"] for line in found] == [10, 20, 30, 40]
    assert [line["3DBall/reward"] for line in found] == [11, 21, 31, 41]
