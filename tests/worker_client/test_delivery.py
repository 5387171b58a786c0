"""What is added arrives once and in order, in the daemon's time."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

from stats_aggregator_client import StatsAggregationMethod, StatsClient, StatsPropertyType, StatsReporter
from stats_aggregator_client.wire import (
    Batch,
    Closing,
    Heartbeat,
    Hello,
    Property,
    Rewind,
    Write,
    decode_series,
)
from tests.worker_client.peer import Peer, columns, wait_connected

FAST = {"flush_interval_s": 0.02}


def _add(reporter: StatsReporter, value: float, times: int) -> None:
    for _ in range(times):
        reporter.add_stat("k", value)


def test_what_is_added_arrives_in_order_with_its_aggregation() -> None:
    with Peer() as peer, StatsClient(peer.address, worker="w", run="r") as client:
        reporter = client.reporter("3DBall")
        for index in range(3000):
            reporter.add_stat("a", float(index))
            reporter.add_stat("b", -index, StatsAggregationMethod.SUM)
        reporter.add_stats("a", range(3000, 6000))
        reporter.set_stat("c", 7)
        assert client.flush(10)
        statistics = client.statistics()
        assert peer.stored.values() == {
            "a": [float(value) for value in range(6000)],
            "b": [-float(value) for value in range(3000)],
            "c": [7.0],
        }
        series = {pair for batch in peer.stored.batches() for pair in decode_series(batch.series)}
        assert series == {("a", 0), ("b", 2), ("c", 1)}
        assert statistics.values_added == statistics.values_acked == 9001
        assert (statistics.values_pending, statistics.pending_bytes) == (0, 0)
        assert (statistics.connected, statistics.worker, statistics.run) == (True, "w", "r")


def test_hello_says_who_we_are_and_bye_ends_the_session() -> None:
    with Peer() as peer:
        with StatsClient(peer.address, worker="w", run="r") as client:
            wait_connected(client, peer)
        (hello,) = peer.hellos
        assert (hello.worker, hello.run, hello.first_unacked, hello.server) == ("w", "r", 1, None)
        assert hello.info["pid"] == os.getpid()
        peer.wait(lambda: peer.byes == 1)
        assert client.close()
        assert client.statistics().state == "closed"


def test_what_is_held_goes_at_the_welcome_with_a_heartbeat_behind_it(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/held"
    with StatsClient(address, flush_interval_s=3600) as client:
        client.reporter("a").add_stat("k", 1.0)
        client.reporter("b").add_steps(3)
        client.reporter("c").write_stats(5)
        with Peer(address) as peer:
            peer.wait(lambda: peer.heartbeats)
            kinds = [type(message) for message in peer.came]
            assert kinds[-1] is Heartbeat
            assert Counter(kinds) == {Hello: 1, Batch: 2, Write: 1, Heartbeat: 1}


def test_write_cuts_the_values_before_it_also_those_of_other_threads() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        reporter = client.reporter("c")
        for step in range(1, 6):
            threads = [threading.Thread(target=_add, args=(reporter, float(step), 500)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            reporter.write_stats(step)
        assert client.flush(10)
        found: list[list[float]] = [[]]
        for message in peer.stored.messages:
            if isinstance(message, Write):
                assert message.step == len(found)
                found.append([])
            elif isinstance(message, Batch):
                found[-1] += [value for _, values in columns(message) for value in values]
        assert found == [[float(step)] * 2000 for step in range(1, 6)] + [[]]


def test_periods_end_by_time_until_the_first_write() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        reporter = client.reporter("c")
        reporter.add_stat("k", 1.0)
        assert client.flush(10)
        reporter.write_stats(1)
        reporter.add_stat("k", 2.0)
        assert client.flush(10)
        assert [batch.closing for batch in peer.stored.batches()] == [Closing.TIME, Closing.WRITE]


def test_messages_of_a_category_keep_their_order() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        one, two = client.reporter("c"), client.reporter("c")
        one.add_stat("k", 1.0)
        two.add_property(StatsPropertyType.HYPERPARAMETERS, {"lr": 3e-4, "net": {"layers": (64, 64)}})
        two.add_stat("k", 2.0)
        one.write_stats(10)
        two.add_stat("k", 3.0)
        one.rewind(5)
        one.add_stat("k", 4.0)
        assert client.flush(10)
        kinds = [type(message) for message in peer.stored.messages]
        assert kinds == [Batch, Property, Batch, Write, Batch, Rewind, Batch]
        assert peer.stored.values() == {"k": [1.0, 2.0, 3.0, 4.0]}
        fact = peer.stored.messages[1]
        assert isinstance(fact, Property)
        assert (fact.type, fact.value) == ("hyperparameters", {"lr": 3e-4, "net": {"layers": (64, 64)}})


def test_steps_travel_each_exactly_once_and_without_values_too() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        reporter = client.reporter("c")
        threads = [
            threading.Thread(target=lambda: [reporter.add_steps(3) for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(10)
        assert sum(batch.steps for batch in peer.stored.batches()) == 12_000
        assert not peer.stored.values()
        reporter.set_step(77)
        reporter.add_stat("k", 1.0)
        assert client.flush(10)
        assert peer.stored.batches()[-1].step == 77
        reporter.add_stat("k", 1.0)
        assert client.flush(10)
        assert peer.stored.batches()[-1].step is None


def test_one_key_with_two_aggregations_never_stands_twice_in_a_batch() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        reporter = client.reporter("c")
        for value in range(10):
            reporter.add_stat("k", float(value))
            reporter.add_stat("k", float(value), StatsAggregationMethod.SUM)
            reporter.add_stat("other", 1.0, StatsAggregationMethod.SUM)
        assert client.flush(10)
        series = [decode_series(batch.series) for batch in peer.stored.batches()]  # raises on a key twice
        assert sorted(series) == [(("k", 0),), (("k", 2), ("other", 2))]
        assert len(peer.stored.values()["k"]) == 20


def test_the_suffix_of_a_duplicate_is_shown() -> None:
    with Peer() as peer:
        peer.suffix = "~2"
        with StatsClient(peer.address, worker="env-17") as client:
            wait_connected(client, peer)
            assert client.statistics().worker == "env-17~2"
            assert client.statistics().run == "run-of-the-daemon"


def test_batches_are_stamped_in_the_daemons_time_and_cut_at_its_boundaries() -> None:
    with Peer() as peer:
        peer.ahead_ns = 3_600_000_000_000
        window = 200_000_000
        peer.windows = (window,)
        with StatsClient(peer.address, **FAST) as client:
            wait_connected(client, peer)
            reporter = client.reporter("c")
            while len(peer.stored.batches("c")) < 20:
                reporter.add_stat("k", 1.0)
                came = len(peer.came)
                peer.wait(lambda came=came: len(peer.came) > came)
            assert client.flush(10)
        batches = peer.stored.batches("c")
        assert all(batch.t_first // window == batch.t_last // window for batch in batches)
        assert [batch.t_last for batch in batches] == sorted(batch.t_last for batch in batches)
        ahead = batches[-1].t_last - time.time_ns()
        assert 3_590_000_000_000 < ahead < 3_601_000_000_000


def test_a_daemon_that_comes_late_does_not_make_the_clock_wrong(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/late"
    with StatsClient(address, **FAST) as client:
        client.reporter("c").add_stat("k", 1.0)
        assert not client.flush(0)
        added_ns = time.time_ns()
        assert not client.flush(1.5)  # a HELLO that waited so long would put the clock ahead by half of it
        with Peer(address) as peer:
            assert client.flush(20)
            assert abs(peer.stored.batches()[0].t_last - added_ns) < 300_000_000


def test_values_are_sent_at_each_boundary_however_long_the_flush_interval() -> None:
    with Peer() as peer:
        peer.windows = (50_000_000,)
        with StatsClient(peer.address, flush_interval_s=3600) as client:
            wait_connected(client, peer)
            for number in range(1, 6):
                client.reporter("c").add_stat("k", 1.0)
                peer.wait(lambda number=number: len(peer.stored.batches("c")) == number)
            assert client.statistics().values_added == 6
