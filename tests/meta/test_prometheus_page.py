"""aggregator/docs/prometheus.md: what it tells people to write works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request

import pytest
import yaml

from stats_aggregator.inquiry import ask
from stats_aggregator.metrics.settings import Gauges
from stats_aggregator.server.config import load_config
from stats_aggregator_client import StatsClient
from tests.meta.repository import ROOT, WAIT_S, user_environment
from tests.meta.serving import Serving
from tests.system.daemons import wait_until

PAGE = (ROOT / "aggregator" / "docs" / "prometheus.md").read_text()
PORT = "5758"


def block(mark):
    (found,) = re.findall(rf"<!-- test: {re.escape(mark)} -->\n```\w+\n(.*?)^```$", PAGE, re.M | re.S)
    return found


def test_every_block_is_one_of_those_below():
    assert re.findall(r"<!-- test: (\S+) -->", PAGE) == [
        "serves",
        "prometheus.yml",
        "config.toml",
        "rules.yml",
    ]
    assert PAGE.count("```") == 2 * 4


def test_its_metrics_are_all_there_and_so_are_its_pages(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(block("config.toml"))
    command = block("serves").strip().replace(PORT, "0") + f" --config {config} --every manual"
    environment = user_environment(tmp_path)
    with Serving(["bash", "-c", f"exec {command}"], tmp_path, environment) as serving:
        pages = "http://" + ask(serving.address, WAIT_S)["http"]["address"]
        with StatsClient(serving.address, worker="w", run="r") as client:
            reporter = client.reporter("c")
            reporter.add_stat("Environment/Reward", 1.0)
            reporter.write_stats(1)
            assert client.flush(WAIT_S)
        wait_until(lambda: "stats_aggregator_stat_mean{" in read(pages + "/metrics"), "the period is there")
        found = read(pages + "/metrics")
        for page in re.findall(r"^\| `(/\w+)` \|", PAGE, re.M):
            assert read(pages + page)
        assert serving.stop()[0] == 0
    rules = yaml.safe_load(block("rules.yml"))["groups"][0]["rules"]
    expressions = " ".join(rule["expr"] for rule in rules)
    families = set(re.findall(r"^# TYPE (\w+)", found, re.M))
    named = set(re.findall(r"stats_aggregator_\w+", expressions))
    assert len(named) > 8
    assert named - families - {f"{family}_bucket" for family in families} == set()
    fields = re.search(r"of the newest period that has the key:(.*?);", PAGE, re.S)[1]
    shown = {f"stats_aggregator_stat_{name}" for name in re.findall(r"`(\w+)`", fields)}
    assert shown == {name for name in families if name.startswith("stats_aggregator_stat_")}


def read(address):
    with urllib.request.urlopen(address, timeout=WAIT_S) as reply:
        return reply.read().decode()


def test_its_settings_are_settings(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(block("config.toml"))
    assert load_config({}, {}, file).gauges == Gauges(("Environment/*", "Losses/Value Loss"), 1000)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")
@pytest.mark.parametrize(("mark", "kind"), [("prometheus.yml", "config"), ("rules.yml", "rules")])
def test_prometheus_takes_its_files(mark, kind, tmp_path):
    file = tmp_path / mark
    file.write_text(block(mark))
    done = subprocess.run(["promtool", "check", kind, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_a_screen():
    assert len(PAGE.splitlines()) <= 65
