"""Children of `multiprocessing`, by every start method: their last values arrive without a word from them."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from stats_aggregator_client import StatsReporter
from tests.system.daemons import Daemon

NUM_CHILDREN, NUM_VALUES = 3, 500


def report(child: int, address: str) -> None:
    """What a worker's code looks like: the default client, and no close."""
    # The environment of the test: a fork server has that of whoever started it.
    os.environ["STATS_AGGREGATOR_ADDRESS"], os.environ["STATS_AGGREGATOR_RUN_ID"] = address, "run"
    reporter = StatsReporter("children")
    for value in range(NUM_VALUES):
        reporter.add_stat("value", float(child * NUM_VALUES + value))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_last_values_of_children_arrive(tmp_path: Path, method: str) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl") as daemon:
        context = multiprocessing.get_context(method)
        children = [
            context.Process(target=report, args=(child, daemon.address)) for child in range(NUM_CHILDREN)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
        assert [child.exitcode for child in children] == [0] * NUM_CHILDREN
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    found = line["stats"]["value"]
    total = NUM_CHILDREN * NUM_VALUES
    assert (found["num"], found["sum"], line["workers_reporting"]) == (total, sum(range(total)), NUM_CHILDREN)
