"""Periods that are steps: they end where the step moves, and the last one where the client closes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext

import pytest

from stats_aggregator_client import StatsClient
from stats_aggregator_client.steps import BURST_PERIODS, EACH_NS, Steps
from stats_aggregator_client.wire import Closing
from tests.worker_client.peer import Peer
from tests.worker_client.periods import OPEN, periods_of


def test_a_step_ends_where_a_later_one_is_reached_and_the_last_where_the_client_closes() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            reporter, steps = client.reporter("c"), client.buffer("c", Closing.WRITE).steps
            for step, value in ((3, 1.0), (3, 2.0), (7, 3.0), (5, 4.0), (7, 5.0), (8, 6.0)):
                steps.reach(step)
                reporter.add_stat("k", value)
        assert periods_of(peer.stored) == {
            "c": [(3, {"k": [1.0, 2.0]}), (7, {"k": [3.0, 4.0, 5.0]}), (8, {"k": [6.0]})]
        }


def test_a_step_that_was_ended_is_not_ended_again_unless_it_goes_on() -> None:
    with Peer() as peer:
        with StatsClient(peer.address) as client:
            reporter, steps = client.reporter("c"), client.buffer("c", Closing.WRITE).steps
            steps.end()
            for value in (1.0, 2.0):
                steps.reach(3)
                reporter.add_stat("k", value)
                steps.end()
                steps.end()
            steps.rewind(1)
            steps.reach(2)
            reporter.add_stat("k", 3.0)
        assert periods_of(peer.stored) == {
            "c": [(3, {"k": [1.0]}), (3, {"k": [2.0]}), ("back to", 1), (2, {"k": [3.0]})]
        }


LEFT_OPEN = """
import os, sys
from stats_aggregator_client import StatsClient
from stats_aggregator_client.steps import BURST_PERIODS, EACH_NS, Steps
from stats_aggregator_client.wire import Closing

client = StatsClient(sys.argv[1], worker="parent")
reporter, steps = client.reporter("c"), client.buffer("c", Closing.WRITE).steps
steps.reach(3)
reporter.add_stat("k", 1.0)
if sys.argv[2] == "forks" and not os.fork():
    steps = client.buffer("c", Closing.WRITE).steps
    assert (steps.at, steps.is_open) == (None, False), "the parent's step is the parent's to end"
    sys.exit()
"""


FORKS = pytest.param("forks", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"))


@pytest.mark.parametrize("how", ["ends", FORKS])
def test_a_process_that_ends_ends_its_last_step_and_no_other_process_does(how: str) -> None:
    with Peer() as peer:
        done = subprocess.run(
            [sys.executable, "-c", LEFT_OPEN, peer.address, how], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        peer.wait(lambda: periods_of(peer.stored) not in ({}, {"c": [(OPEN, {"k": [1.0]})]}))
        assert periods_of(peer.stored) == {"c": [(3, {"k": [1.0]})]}


def test_a_client_that_is_off_has_steps_too() -> None:
    steps = StatsClient("off").buffer("c", Closing.WRITE).steps
    steps.reach(3)
    steps.rewind(1)
    steps.end()
    assert steps.at is None


def test_steps_that_come_faster_than_periods_may_share_one() -> None:
    now_ns, written = 10**12, list[int]()
    steps = Steps(written.append, written.append, nullcontext(), lambda: now_ns)
    ended = [steps.reach(step) for step in range(BURST_PERIODS + 10)]
    assert written == list(range(BURST_PERIODS)), "so many at once"
    assert ended == [True] * (BURST_PERIODS + 1) + [False] * 9
    written.clear()
    for step in range(1000, 1040):
        now_ns += EACH_NS // 4
        steps.reach(step)
    assert len(written) == 10, "then as many as time allows"
    assert not steps.end()
    steps.end(is_last=True)
    assert written[-1] == 1039
    now_ns += BURST_PERIODS * EACH_NS * 100
    written.clear()
    for step in range(2000, 3000):
        steps.reach(step)
    assert written[-1] == written[0] + BURST_PERIODS - 1, (
        "a long rest allows no more at once than a short one"
    )
