"""The W&B writer in a real daemon: found by its entry point, and the same run after a kill."""

import os
import re

import pytest

pytest.importorskip("wandb", reason="no wandb here: `make test-integrations` has it")

from stats_aggregator_client import StatsClient
from tests.integrations.wandb_records import rows
from tests.integrations.wandb_server import WandbServer
from tests.meta.repository import ROOT, user_environment
from tests.meta.serving import Serving
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


def test_the_page_works_as_it_stands(tmp_path):
    page = (ROOT / "plugins" / "wandb" / "README.md").read_text()
    blocks = re.findall(
        r"<!-- (?:test: (\S+)|does not run: [^>]+) -->\n```\w+\n(.*?)^```$", page, re.M | re.S
    )
    assert page.count("```") == 2 * len(blocks)
    (tmp_path / "stats-aggregator.toml").write_text(dict(blocks)["stats-aggregator.toml"])
    server = WandbServer()
    environment = user_environment(
        tmp_path, HOME=str(tmp_path), WANDB_API_KEY="k" * 40, WANDB_BASE_URL=server.url
    )
    command = ["bash", "-c", f"exec {dict(blocks)['serves']}"]
    with Serving(command, tmp_path, environment) as serving:
        report(serving, 10)
        wait_until(lambda: rows(tmp_path / "results" / "run-1"), "a row")
        assert serving.stop()[0] == 0
    (found,) = server.history("run-1")
    names = ("reward", "reward/std", "reward/p95", "reward/workers", "Step")
    assert [found[f"3DBall/{name}"] for name in names] == [11, 1, 12, 1, 10]
    assert server.projects["run-1"] == "cart-pole"
    server.stop()
