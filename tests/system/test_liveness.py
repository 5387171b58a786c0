"""Liveness with real sockets and real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from stats_aggregator_client import StatsClient
from stats_aggregator_client.wire import Ack, Hello, Welcome, decode, encode
from tests.system.daemons import Daemon, wait_until

# A worker that has sent something, and is then busy for ever: in numpy, which lets go of the interpreter's
# lock for a moment at a time, and in Python, which never does by itself.
BUSY = """
import sys, time
import numpy as np
from stats_aggregator_client import StatsClient

client = StatsClient(sys.argv[1], worker="busy", run="run")
client.reporter("c").add_stat("k", 1.0)
assert client.flush(30)
print("busy", flush=True)
matrix = np.random.default_rng(1).normal(size=(600, 600))
while True:
    matrix = np.tanh(matrix @ matrix)
    end_s = time.monotonic() + 0.2
    while time.monotonic() < end_s:
        pass
"""


@contextmanager
def _process(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", source, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def _worker(daemon: Daemon) -> dict[str, Any]:
    (found,) = daemon.status()["workers"]
    return found


def test_a_worker_whose_every_moment_is_taken_is_alive(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon, _process(BUSY, daemon.address) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "busy\n"
        # It is heard again after a while, from within the loop that never ends.
        wait_until(lambda: _worker(daemon)["heard_s_ago"] > 2.0, "a silence between heartbeats")
        wait_until(lambda: _worker(daemon)["heard_s_ago"] < 1.0, "the next heartbeat", 10)
        assert busy.poll() is None
        assert _worker(daemon)["state"] == "alive"
        assert daemon.status()["runs"][0]["workers"] == {"alive": 1, "silent": 0, "lost": 0, "gone": 0}


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


def _hello(context: zmq.Context[zmq.Socket[bytes]], address: str) -> tuple[zmq.Socket[bytes], str]:
    """Say HELLO as another process that wishes the name "w"; return the socket and the name that it got."""
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(address)
    dealer.send(encode(Hello(os.urandom(16), "w", "run", os.urandom(16), {}, 1, None)))
    assert dealer.poll(30_000)
    welcome = decode(dealer.recv())
    assert isinstance(welcome, Welcome)
    return dealer, welcome.worker


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_a_name_is_free_once_the_connection_of_who_had_it_has_ended(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]], transport: str
) -> None:
    options = ["--bind", f"ipc://{tmp_path}/socket"] if transport == "ipc" else []
    with Daemon(tmp_path, "--writer", "jsonl", *options) as daemon:
        first, name = _hello(context, daemon.address)
        assert name == "w"
        second, name = _hello(context, daemon.address)
        assert name == "w#2", "the first is there"
        # That it was looked for is nothing that disturbs it.
        assert first.poll(30_000)
        assert isinstance(decode(first.recv()), Ack)
        first.close()
        last = _until_named(context, daemon.address, "w")
        for dealer in (second, last):
            dealer.close()


def _until_named(context: zmq.Context[zmq.Socket[bytes]], address: str, wished: str) -> zmq.Socket[bytes]:
    # The end of a connection reaches the daemon a moment later; each that comes too early takes a number.
    for _ in range(100):
        dealer, name = _hello(context, address)
        if name == wished:
            return dealer
        dealer.close()
    raise AssertionError("the name is never free")


def test_a_worker_that_was_killed_and_comes_back_at_once_keeps_its_name(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl") as daemon:
        for _ in range(3):
            with _process(BUSY, daemon.address) as worker:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "busy\n"
                worker.kill()
                worker.wait()
        assert {worker["worker"] for worker in daemon.status()["workers"]} == {"busy"}
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    assert (line["stats"]["k"]["num"], line["workers_reporting"], line["workers_expected"]) == (3, 1, 1)


def test_after_a_pause_of_the_daemon_nobody_is_blamed(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, "--writer", "jsonl") as daemon,
        StatsClient(daemon.address, worker="w", run="run") as client,
    ):
        client.reporter("c").add_stat("k", 1.0)
        assert client.flush(30)
        heard_s_ago = _worker(daemon)["heard_s_ago"]
        os.kill(daemon.pid, signal.SIGSTOP)
        time.sleep(4)  # there is nothing to wait for: it is stopped
        os.kill(daemon.pid, signal.SIGCONT)
        wait_until(lambda: "the daemon did not run for" in daemon.log.read_text(), "that it sees its pause")
        assert _worker(daemon)["heard_s_ago"] < heard_s_ago + 4


POOL = """
import sys
from stats_aggregator_client import StatsReporter

reporter = StatsReporter("pool")
for number in range(100):
    reporter.add_stat("k", float(number))
"""


def test_a_pool_that_never_writes_is_shown_once_its_processes_have_ended(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        told = {"STATS_AGGREGATOR_ADDRESS": daemon.address, "STATS_AGGREGATOR_RUN_ID": "run"}
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", POOL],
                env={**os.environ, **told, "STATS_AGGREGATOR_WORKER": f"w{rank}"},
            )
            for rank in range(4)
        ]
        assert [worker.wait(60) for worker in workers] == [0] * 4
        shown = "that all values are written while the daemon runs"
        wait_until(lambda: sum(line["stats"]["k"]["num"] for line in daemon.summaries("run")) == 400, shown)
        assert {line["cause"] for line in daemon.summaries("run")} == {"left"}


BEGINS_AGAIN = """
from stats_aggregator_client import StatsReporter

StatsReporter("c").write_stats(1000)
"""


def test_a_training_that_begins_again_is_told_on_its_own_standard_error(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        with StatsClient(daemon.address, worker="first", run="run") as client:
            client.reporter("c").write_stats(5000)
        told = {"STATS_AGGREGATOR_ADDRESS": daemon.address, "STATS_AGGREGATOR_RUN_ID": "run"}
        command = [sys.executable, "-c", BEGINS_AGAIN]
        again = subprocess.run(
            command, env={**os.environ, **told}, capture_output=True, text=True, timeout=60
        )
    assert again.returncode == 0
    assert "begins at step 1000 of c, which is at 5000 in run run" in again.stderr
