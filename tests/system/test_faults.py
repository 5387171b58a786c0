"""Promises 1 and 2, the first steps: kill -9, a daemon that is late, runs that meet in one daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stats_aggregator_client import StatsClient, StatsReporter
from tests.system.daemons import Daemon, wait_until

WORKERS, NUM_VALUES = 3, 6000


def _counting(daemon: Daemon) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.system.pushers", "counting", daemon.address, "run"]
    workers = [
        subprocess.Popen([*command, str(worker), str(NUM_VALUES)], stdout=subprocess.PIPE, text=True)
        for worker in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        with worker.stdout as lines:
            assert lines.readline() == "pushing\n"
    return workers


def test_kill_9_in_the_middle_of_a_period_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "manual", "--writer", "jsonl") as daemon:
        workers = _counting(daemon)
        for kill in range(4):
            seen = daemon.status()["received"].get("batch", 0)
            wait_until(
                lambda seen=seen: (
                    daemon.status()["received"].get("batch", 0) > seen + 5
                    or all(worker.poll() is not None for worker in workers)
                ),
                f"batches before kill {kill}",
            )
            daemon.kill()
            daemon.start()
        assert [worker.wait(60) for worker in workers] == [0] * WORKERS
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("counting").write_stats(1)
            assert client.flush(30)
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    found = line["stats"]["value"]
    expected = [worker * 1_000_000_000 + value for worker in range(WORKERS) for value in range(NUM_VALUES)]
    assert (found["num"], found["sum"]) == (len(expected), float(sum(expected)))
    assert (found["min"], found["max"]) == (0.0, float(expected[-1]))
    # Who wrote the step is there too.
    assert (line["lost"], line["uncertain"], line["workers_reporting"]) == (0, 0, WORKERS + 1)
    assert found["p50"] == sorted(expected)[(len(expected) - 1) // 2]


def test_two_runs_with_the_same_category_do_not_mix(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        with StatsClient(daemon.address, run="red") as red, StatsClient(daemon.address, run="blue") as blue:
            for round_number in range(3):
                for client, sign in ((red, 1), (blue, -1)):
                    reporter = StatsReporter("3DBall", client)
                    reporter.add_stats("reward", [sign * (round_number + 1.0)] * (10 if sign > 0 else 7))
                    reporter.write_stats(100 * (round_number + 1))
                assert red.flush(30)
                assert blue.flush(30)
        assert daemon.stop() == 0
        for run, sign, num in (("red", 1, 10), ("blue", -1, 7)):
            lines = daemon.summaries(run)
            assert [(line["ordinal"], line["step"]) for line in lines] == [(1, 100), (2, 200), (3, 300)]
            rewards = [line["stats"]["reward"] for line in lines]
            assert [(reward["num"], reward["mean"]) for reward in rewards] == [
                (num, sign * 1.0),
                (num, sign * 2.0),
                (num, sign * 3.0),
            ]


def test_trainers_that_write_in_step_are_pooled_round_by_round(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, "--grace", "1h", "--writer", "jsonl") as daemon,
        StatsClient(daemon.address, "a", "run") as first,
        StatsClient(daemon.address, "b", "run") as second,
    ):
        for step in (1, 2, 3):
            for client in (first, second):
                reporter = StatsReporter("3DBall", client)
                reporter.add_stat("step", float(step))
                reporter.write_stats(step)
                assert client.flush(30)
        # Nobody knew of the second before its first WRITE; from then on a round is both of theirs.
        wait_until(lambda: len(daemon.summaries("run")) == 3, "three periods")
        lines = daemon.summaries("run")
    stats = [line["stats"]["step"] for line in lines]
    assert [(stat["num"], stat["min"], stat["max"]) for stat in stats] == [(1, 1, 1), (3, 1, 2), (2, 3, 3)]
    assert [line["step"] for line in lines] == [1, 2, 3]


def test_a_daemon_that_starts_after_its_workers_gets_all_they_have(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/late"
    clients = [StatsClient(address, worker=f"w{i}", run="run", flush_interval_s=0.05) for i in range(3)]
    for number, client in enumerate(clients):
        reporter = client.reporter("early")
        for value in range(1000):
            reporter.add_stat("value", float(1000 * number + value))
        reporter.write_stats(5)
        assert client.flush(0.2) is False
    daemon = Daemon(tmp_path, "--writer", "jsonl", "--bind", address)
    with daemon:
        assert all(client.flush(30) for client in clients)
        wait_until(
            lambda: sum(line["stats"]["value"]["num"] for line in daemon.summaries("run")) == 3000,
            "all values in summaries, at the latest when the writers' round has had its grace",
        )
        lines = daemon.summaries("run")
        assert [client.close() for client in clients] == [True] * 3
        assert daemon.stop() == 0
    assert sum(line["stats"]["value"]["sum"] for line in lines) == sum(range(3000))
    assert {line["step"] for line in lines} == {5}


def test_periods_stored_before_the_writers_came_up_are_delivered_after_a_crash(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        # Stopped at once: it will not have said which writers there are.
        writers = _all_children(daemon.pid)
        assert writers
        for child in writers:
            os.kill(child, signal.SIGSTOP)
        with StatsClient(daemon.address, run="run") as client:
            for step in (1, 2):
                reporter = StatsReporter("3DBall", client)
                reporter.add_stat("step", float(step))
                reporter.write_stats(step)
            assert client.flush(30)
        wait_until(lambda: daemon.status()["closer"]["waiting"] == 0, "both periods stored")
        for process in (daemon.pid, *writers):
            os.kill(process, signal.SIGKILL)
        daemon.kill()
        daemon.start()
        wait_until(lambda: [line["step"] for line in daemon.summaries("run")] == [1, 2], "both delivered")


def test_a_stop_is_bounded_while_the_writers_hang(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl", "--drain-timeout", "1s") as daemon:
        wait_until(lambda: "loaded" in [p["state"] for p in daemon.status()["plugins"]], "writers that run")
        for child in _all_children(daemon.pid):
            os.kill(child, signal.SIGSTOP)
        with StatsClient(daemon.address, run="run") as client:
            reporter = StatsReporter("3DBall", client)
            for step in range(1, 600):  # each stored period wakes the writers: more than a socket holds
                reporter.write_stats(step)
            assert client.flush(30)
        assert daemon.stop() == 3


def _all_children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
