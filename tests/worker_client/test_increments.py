"""Steps that are counted: each once, whichever way they take."""

from __future__ import annotations

import threading

from stats_aggregator_client import StatsClient
from stats_aggregator_client.columns import HOT_LIMIT
from stats_aggregator_client.increments import HOT_STEPS, Increments
from stats_aggregator_client.wire import INT64_MAX
from tests.worker_client.peer import Peer


def test_steps_of_any_size_and_number_are_counted_each_once() -> None:
    with Peer() as peer, StatsClient(peer.address, flush_interval_s=3600) as client:
        reporter = client.reporter("c")
        told = [1] * (3 * HOT_LIMIT) + [0, HOT_STEPS, 7, HOT_STEPS - 1, 0]
        for steps in told:
            reporter.add_steps(steps)
        for wrong in (-1, None, "many", INT64_MAX + 1):
            reporter.add_steps(wrong)  # type: ignore[arg-type]
        assert client.flush(20)
        assert sum(batch.steps for batch in peer.stored.batches("c")) == sum(told)
        assert client.statistics().bad_calls == 4


def test_no_steps_send_nothing() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        client.reporter("c").add_steps(0)
        client.reporter("c").add_steps(-1)
        assert client.flush(20)
        assert peer.stored.batches("c") == []


def test_what_is_appended_while_others_are_taken_is_not_lost() -> None:
    increments, taken, over = Increments(), [], threading.Event()

    def take() -> None:
        while not over.is_set():
            taken.append(increments.take())

    thread = threading.Thread(target=take)
    thread.start()
    appended = 0
    while appended < 10_000 or sum(map(bool, taken)) < 3:  # until it was taken from in between
        for _ in range(10_000):
            increments.append(1)
        appended += 10_000
    over.set()
    thread.join()
    assert sum(taken) + increments.take() == appended
