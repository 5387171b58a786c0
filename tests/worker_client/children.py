"""What child processes do in tests of multiprocessing; importable, so that spawn and forkserver find it."""

from __future__ import annotations

import os
import threading

from stats_aggregator_client import StatsClient, StatsReporter


def report(address: str, category: str, count: int) -> None:
    """Use the default client and return: only the hooks at the end deliver."""
    # A forkserver's children have the environment that it was started with.
    os.environ["STATS_AGGREGATOR_ADDRESS"] = address
    reporter = StatsReporter(category)
    for value in range(count):
        reporter.add_stat("k", float(value))


def report_with(client: StatsClient, category: str, count: int) -> None:
    """Use a client that was inherited over a fork."""
    reporter = client.reporter(category)
    for value in range(count):
        reporter.add_stat("k", float(value))


def fork(child: object) -> int:
    """Return the exit code of a forked child that calls `child` and leaves as a script does."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = child()  # type: ignore[operator]
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hold(lock: object, held: threading.Event, release: threading.Event) -> threading.Thread:
    """Hold `lock` in a thread until `release` is set."""

    def run() -> None:
        with lock:  # type: ignore[attr-defined]
            held.set()
            release.wait(20)

    thread = threading.Thread(target=run)
    thread.start()
    assert held.wait(10)
    return thread
