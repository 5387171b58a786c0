"""What it costs the engine to be watched: one STATUS of many workers, at most once a second; and a scrape."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from stats_aggregator.server.status import describe
from stats_aggregator_client import StatsClient
from tests.aggregator.peers import Core, Worker
from tests.bench.row import Row
from tests.system.daemons import Daemon, wait_until

_WORKERS, _KEYS, _ROUNDS = 1000, 50, 15
_GAUGES = 1000


def _status_ms() -> float:
    """Return how long the engine's thread describes itself with many workers."""
    with tempfile.TemporaryDirectory() as directory, Core(Path(directory)) as core:
        workers = [Worker(f"env-{number}", "run") for number in range(_WORKERS)]
        core.handle(*(worker.hello() for worker in workers))
        series = [(f"Environment/key {number}", 0, [1.0]) for number in range(_KEYS)]
        core.handle(*(worker.batch("CartPole", series, core.clock.now_ns()) for worker in workers))
        found = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            describe(core.engine, "tcp://127.0.0.1:1", 0, core.clock.now_ns())
            found.append(time.perf_counter() - began)
        return statistics.median(found) * 1e3


def _scrape() -> tuple[float, int]:
    """Return how long a scrape with many chosen keys takes, in milliseconds, and its bytes."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "config.toml"
        config.write_text(f'[http]\nkeys = ["*"]\nmax_gauges = {_GAUGES}\n')
        options = ("--config", str(config), "--http", "127.0.0.1:0", "--every", "manual", "--writer", "jsonl")
        with Daemon(Path(directory), *options) as daemon:
            with StatsClient(daemon.address, run="bench") as client:
                reporter = client.reporter("bench")
                for number in range(_GAUGES):
                    reporter.add_stat(f"Environment/key {number}", 0.5)
                reporter.write_stats(1)
                assert client.flush(60)
            page = f"http://{daemon.status()['http']['address']}/metrics"

            def scrape() -> bytes:
                with urllib.request.urlopen(page, timeout=60) as reply:
                    return bytes(reply.read())

            wait_until(lambda: b"stats_aggregator_stat_mean{" in scrape(), "the period is stored")
            found = []
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                size_bytes = len(scrape())
                found.append(time.perf_counter() - began)
        return statistics.median(found) * 1e3, size_bytes


def measure_scraping() -> list[Row]:
    """Return both."""
    status_ms, (scrape_ms, size_bytes) = _status_ms(), _scrape()
    return [
        Row(
            f"one STATUS of {_WORKERS:,} workers, on the engine's thread",
            status_ms,
            "ms",
            note=f"at most once a second, however many scrape: {status_ms / 10:.1f}% of it",
        ),
        Row(
            f"one scrape with {_GAUGES:,} chosen series",
            scrape_ms,
            "ms",
            note=f"in a process of its own; {size_bytes / 1e6:.1f} MB",
        ),
    ]
