"""The pages of a real daemon: what they say, who scrapes them, and what befalls their process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.system.daemons import WAIT_S, Daemon, wait_until

PROMETHEUS = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="no prometheus here: apt-get install prometheus"
)
RUN = "ppo seed=1"


class Watched(Daemon):
    """A daemon with pages."""

    def __init__(self, directory: Path, *options: str, keys: str = "[]", max_gauges: int = 1000) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "config.toml"
        config.write_text(f"[http]\nkeys = {keys}\nmax_gauges = {max_gauges}\n")
        super().__init__(
            directory, "--http", "127.0.0.1:0", "--config", str(config), "--writer", "jsonl", *options
        )

    @property
    def pages(self) -> str:
        """The address of the pages, without the path."""
        found = re.search(r"metrics on (http://[^/]+)/metrics\)", self.ready_line)
        assert found, self.ready_line
        return found[1]

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and body of a page."""
        try:
            with urllib.request.urlopen(self.pages + path, timeout=WAIT_S) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self, *names: str) -> dict[tuple[str, ...], float]:
        """Return the samples by name and the values of their labels; with `names`, only those."""
        return {
            (name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if (name := sample.name.removeprefix("stats_aggregator_")) in names or not names
        }


def push(daemon: Daemon) -> None:
    """Push five values of two workers, and end the period."""
    for worker, values in (("a", [1.0, 2.0]), ("b", [9.0])):
        with StatsClient(daemon.address, worker=worker, run=RUN) as client:
            reporter = client.reporter("Cart")
            reporter.add_stats("Env/Reward", values)
            reporter.add_stat("Env/Episodes", 1, StatsAggregationMethod.SUM)
            assert client.flush(WAIT_S)
    with StatsClient(daemon.address, worker="c", run=RUN) as client:
        client.reporter("Cart").write_stats(4000)
        assert client.flush(WAIT_S)
    wait_until(lambda: daemon.summaries(RUN), "the period is written")


def test_the_page_says_what_the_status_and_the_summaries_say(tmp_path: Path) -> None:
    with Watched(tmp_path, "--every", "manual", keys='["Env/*"]') as daemon:
        push(daemon)
        wait_until(
            lambda: daemon.samples().get(("writer_delivered_total", "0", RUN, "jsonl")) == 1, "delivered"
        )
        found = daemon.samples()
        (line,) = daemon.summaries(RUN)
        for key, stat in line["stats"].items():
            for name in ("value", "num", "mean", "std", "min", "max", "last"):
                assert found[f"stat_{name}", "Cart", key, RUN] == stat[name]
        assert found["stat_value", "Cart", "Env/Episodes", RUN] == 2
        assert found["stat_step", "Cart", "Env/Reward", RUN] == 4000
        # Who wrote the step is there too.
        assert found["period_workers_reporting", "Cart", RUN] == line["workers_reporting"] == 3
        status = daemon.status()
        assert (found["values_total",], found["periods_closed_total",]) == (5, 1)
        assert found["journal_bytes",] == status["journal"]["bytes"]
        assert found["sessions", "gone"] == status["sessions"]["gone"] == 3
        assert found["process_resident_memory_bytes",] > 10e6
        assert status["http"]["address"] == daemon.pages.removeprefix("http://")
        command = [sys.executable, "-m", "stats_aggregator", "status", "--address", daemon.address]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S).stdout
        assert f"metrics on {daemon.pages}/metrics\n" in shown
        assert daemon.get("/healthz") == (200, "ok\n")
        assert daemon.get("/readyz") == (200, "running\n")
        assert daemon.stop() == 0


def test_there_is_no_page_unless_it_is_set(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        assert "metrics" not in daemon.ready_line
        assert "http" not in daemon.status()


@contextmanager
def scraping(address: str, directory: Path) -> Iterator[str]:
    """Run a real Prometheus that scrapes `address`; yield where it answers queries."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    config = directory / "prometheus.yml"
    scrape = {"job_name": "stats", "static_configs": [{"targets": [address]}]}
    # YAML takes JSON.
    config.write_text(
        json.dumps(
            {"global": {"scrape_interval": "300ms", "scrape_timeout": "300ms"}, "scrape_configs": [scrape]}
        )
    )
    assert PROMETHEUS is not None
    options = (
        f"config.file={config}",
        f"storage.tsdb.path={directory / 'tsdb'}",
        f"web.listen-address={where}",
    )
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *(f"--{each}" for each in options)], stdout=log, stderr=log)
    try:
        yield where
    finally:
        process.kill()
        process.wait(WAIT_S)


def ask_prometheus(where: str, query: str) -> list[dict[str, Any]]:
    """Return the result of a query; empty where there is none, or it does not listen yet."""
    try:
        with urllib.request.urlopen(f"http://{where}/api/v1/query?{urlencode({'query': query})}") as reply:
            return list(json.load(reply)["data"]["result"])
    except OSError:
        return []


@needs_prometheus
def test_a_real_prometheus_scrapes_it_and_answers_queries(tmp_path: Path) -> None:
    with (
        Watched(tmp_path, "--every", "manual", keys='["Env/*"]') as daemon,
        scraping(daemon.pages.removeprefix("http://"), tmp_path) as prometheus,
    ):
        push(daemon)
        query = f'stats_aggregator_stat_mean{{run="{RUN}",category="Cart",key="Env/Reward"}}'
        (found,) = wait_until(lambda: ask_prometheus(prometheus, query), "Prometheus has the mean")
        assert float(found["value"][1]) == 4.0
        for query, value in {
            'up{job="stats"}': 1,
            "stats_aggregator_up": 1,
            "stats_aggregator_values_total": 5,
            'sum(stats_aggregator_sessions{state="gone"})': 3,
            "sum(stats_aggregator_stat_num * stats_aggregator_stat_mean)": 14,
            "histogram_quantile(1, stats_aggregator_journal_sync_seconds_bucket) > bool 0": 1,
            "sum(stats_aggregator_rejected_total)": 0,
            "sum(stats_aggregator_writer_delivered_total)": 1,
        }.items():
            # A scrape that was under way may be of a moment before.
            wait_until(
                lambda query=query, value=value: (
                    [float(each["value"][1]) for each in ask_prometheus(prometheus, query)] == [value]
                ),
                f"{query} is {value}",
            )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")
def test_the_names_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    with Watched(tmp_path, "--every", "manual", keys='["*"]') as daemon:
        push(daemon)
        _, page = daemon.get("/metrics")
    assert "stats_aggregator_stat_mean{" in page
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_page_process_that_dies_is_started_again_at_the_same_address(tmp_path: Path) -> None:
    with Watched(tmp_path, "--every", "manual") as daemon:
        assert daemon.get("/healthz")[0] == 200
        pid = daemon.status()["http"]["pid"]
        os.kill(pid, signal.SIGKILL)
        # Nothing is refused meanwhile: the server listens, and whoever connects waits.
        wait_until(lambda: daemon.status()["http"]["pid"] not in (None, pid), "it is started again")
        assert daemon.get("/healthz") == (200, "ok\n")
        assert daemon.status()["http"]["restarts"] == 1
        push(daemon)
        assert daemon.stop() == 0
    assert "the process of the pages ended (killed by signal 9)" in daemon.log.read_text()


def test_a_page_process_that_hangs_holds_up_neither_values_nor_the_end(tmp_path: Path) -> None:
    with Watched(tmp_path, "--every", "manual") as daemon:
        assert daemon.get("/healthz")[0] == 200
        os.kill(daemon.status()["http"]["pid"], signal.SIGSTOP)
        push(daemon)
        assert daemon.stop() == 0


def test_a_daemon_that_hangs_is_said_to_and_one_that_was_killed_takes_its_page_with_it(
    tmp_path: Path,
) -> None:
    with Watched(tmp_path, "--every", "manual") as daemon:
        assert daemon.get("/healthz")[0] == 200
        page = daemon.status()["http"]["pid"]
        os.kill(daemon.pid, signal.SIGSTOP)
        wait_until(lambda: daemon.get("/healthz")[0] == 503, "it is said")
        assert daemon.get("/readyz")[0] == 503
        assert daemon.samples("up") == {("up",): 0}
        os.kill(daemon.pid, signal.SIGCONT)
        wait_until(lambda: daemon.get("/readyz")[0] == 200, "it is back")
        pages = daemon.pages.removeprefix("http://")
        daemon.kill()
        wait_until(lambda: not _is_alive(page), "its page is gone")
        with Daemon(tmp_path, "--http", pages, "--writer", "jsonl") as again:
            assert f"metrics on http://{pages}/metrics" in again.ready_line


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Its parent is gone too: whoever takes orphans in may not have waited for it yet.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_scraping_as_fast_as_can_be_is_a_question_a_second_to_the_engine(tmp_path: Path) -> None:
    with Watched(tmp_path, "--every", "manual") as daemon:
        before = daemon.samples("messages_total")
        began_s = time.monotonic()
        for _ in range(100):
            daemon.get("/metrics")
        after = daemon.samples("messages_total")
        elapsed_s = time.monotonic() - began_s
    asked = after["messages_total", "status"] - before["messages_total", "status"]
    assert asked <= elapsed_s + 1
