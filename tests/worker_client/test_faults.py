"""What is added arrives once, whatever the daemon and the connection do."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from stats_aggregator_client import StatsClient, StatsPropertyType
from stats_aggregator_client.client import _NEVER_REACHED_S
from stats_aggregator_client.wire import Batch, Hello, Property, Write
from tests.worker_client.peer import Peer, Stored, wait_connected

FAST = {"flush_interval_s": 0.02}


def test_a_daemon_that_starts_after_its_workers_gets_all_they_have(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/late"
    with StatsClient(address, **FAST) as client:
        reporter = client.reporter("c")
        for value in range(5000):
            reporter.add_stat("k", float(value))
        reporter.write_stats(1)
        assert not client.flush(0.2)
        assert client.statistics().values_pending == 5000
        with Peer(address) as peer:
            assert client.flush(10)
            assert peer.stored.values() == {"k": [float(value) for value in range(5000)]}


def test_a_daemon_that_dies_and_comes_back_gets_each_value_once(tmp_path: Path) -> None:
    address, stored = f"ipc://{tmp_path}/again", Stored()
    added = 0
    with StatsClient(address, **FAST) as client:
        reporter = client.reporter("c")
        for life in range(6):
            with Peer(address, stored) as peer:
                # Every other life takes what comes and dies before it stores it.
                peer.acking = life % 2 == 1
                for _ in range(2000):
                    reporter.add_stat("k", float(added))
                    added += 1
                reporter.add_steps(1)
                peer.wait(lambda peer=peer: any(isinstance(message, Batch) for message in peer.came))
        with Peer(address, stored) as peer:
            assert client.flush(20)
            statistics = client.statistics()
    assert stored.values() == {"k": [float(value) for value in range(added)]}
    assert sum(batch.steps for batch in stored.batches()) == 6
    assert statistics.values_acked == added
    assert statistics.batches_resent > 0
    assert statistics.connections >= 6
    assert statistics.values_uncertain == statistics.values_lost == 0


def test_what_is_sent_again_is_the_same_to_the_bit() -> None:
    with Peer() as peer, StatsClient(peer.address, ack_timeout_s=0.3, **FAST) as client:
        reporter = client.reporter("c")
        peer.acking = False
        for value in range(1000):
            reporter.add_stat("k", float(value))
            if value % 100 == 0:
                reporter.write_stats(value)
        peer.wait(lambda: len(peer.hellos) >= 3)  # nothing is acknowledged: it tries other sockets
        peer.resume()
        assert client.flush(20)
        assert client.statistics().batches_resent > 0
        assert {len(found) for found in peer.frames.values()} == {1}
        assert peer.stored.values() == {"k": [float(value) for value in range(1000)]}


def test_a_daemon_that_forgot_the_connection_is_told_again() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        wait_connected(client, peer)
        peer.forget_connections()
        reporter = client.reporter("c")
        for value in range(3):
            reporter.add_stat("k", float(value))
            assert client.flush(10)
        assert len(peer.hellos) == 2
        assert peer.stored.values("c") == {"k": [0.0, 1.0, 2.0]}


def test_a_nack_brings_what_is_missing() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        wait_connected(client, peer)
        peer.acking = False
        reporter = client.reporter("c")
        for step in range(5):
            reporter.add_stat("k", float(step))
            reporter.write_stats(step)
        peer.wait(lambda: sum(isinstance(message, Write) for message in peer.came) == 5)
        peer.nack(2)  # the group could not be written: all of it again
        peer.wait(lambda: sum(isinstance(message, Write) for message in peer.came) == 10)
        peer.resume()
        assert client.flush(10)
        assert peer.stored.values("c") == {"k": [0.0, 1.0, 2.0, 3.0, 4.0]}
        assert len(peer.hellos) == 1


def test_a_rejected_batch_is_counted_said_once_and_blocks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Peer() as peer, StatsClient(peer.address, flush_interval_s=60) as client:
        wait_connected(client, peer)
        peer.rejects = lambda message: isinstance(message, Batch) and message.category == "bad"
        for value in range(4):
            client.reporter("bad").add_stat("k", float(value))
            assert not client.flush(10)  # it was given up
            client.reporter("good").add_stat("k", float(value))
            assert client.flush(10)
        assert peer.stored.values("good") == {"k": [0.0, 1.0, 2.0, 3.0]}
        assert not peer.stored.values("bad")
        statistics = client.statistics()
        assert (statistics.values_acked, statistics.values_rejected, statistics.values_pending) == (5, 4, 0)
    assert sum("not with us" in line for line in caplog.messages) == 1


def test_a_refused_hello_is_said_once_and_keeps_the_values(caplog: pytest.LogCaptureFixture) -> None:
    with Peer() as peer:
        peer.refuse_hello = "worker 'w' has no place here"
        with StatsClient(peer.address, worker="w", **FAST) as client:
            client.reporter("c").add_stat("k", 1.0)
            peer.wait(lambda: len(peer.hellos) == 2)
            assert client.statistics().state in ("refused", "greeting")
            peer.refuse_hello = ""
            assert client.flush(20)
        assert peer.stored.values() == {"k": [1.0]}
    assert sum("has no place here" in line for line in caplog.messages) == 1


def test_another_daemon_makes_what_was_unacknowledged_uncertain(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/other"
    with StatsClient(address, **FAST) as client:
        reporter = client.reporter("c")
        with Peer(address) as first:
            reporter.add_stat("k", 1.0)
            assert client.flush(10)
            first.acking = False
            reporter.add_stats("k", [2.0, 3.0])
            reporter.add_property(StatsPropertyType.SELF_PLAY, "fact")
            first.wait(lambda: any(isinstance(message, Property) for message in first.came))
        with Peer(address) as second:
            # Not before: the socket to the first may still take it, and then it is uncertain too.
            second.wait(lambda: len(second.hellos) == 2)
            reporter.add_stat("k", 4.0)
            second.wait(lambda: second.stored.values() == {"k": [4.0]})
            assert sum(batch.uncertain for batch in second.stored.batches()) == 2
            assert [hello.first_unacked for hello in second.hellos] == [2, 1]
            assert len({hello.session for hello in second.hellos}) == 2
            assert any(isinstance(message, Property) for message in second.stored.messages)
            client.flush(20)
            statistics = client.statistics()
    assert (statistics.values_acked, statistics.values_uncertain, statistics.values_pending) == (2, 2, 0)


def test_an_address_file_is_read_again_when_the_daemon_moves(tmp_path: Path) -> None:
    file, stored = tmp_path / "address", Stored()
    with StatsClient(f"@{file}", **FAST) as client:
        reporter = client.reporter("c")
        reporter.add_stat("k", 1.0)
        assert not client.flush(0.1)
        for value in (2.0, 3.0):
            with Peer(f"ipc://{tmp_path}/{value}", stored) as peer:
                file.write_text(peer.address + "\n")
                reporter.add_stat("k", value)
                assert client.flush(20)
    assert stored.values() == {"k": [1.0, 2.0, 3.0]}


def test_no_daemon_is_one_clear_line_and_so_is_its_return(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stats_aggregator_client.liveness.NOTICE_NS", 100_000_000)
    address = f"ipc://{tmp_path}/absent"
    caplog.set_level(logging.WARNING)
    with StatsClient(address, **FAST) as client:
        client.reporter("c").add_stats("k", [1.0, 2.0])
        assert not client.flush(0.5)
        (line,) = caplog.messages
        assert address in line
        assert "2 values wait" in line
        assert "stats-aggregator serve" in line
        with Peer(address):
            assert client.flush(20)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("connected to the stats-aggregator daemon")


def test_closing_without_a_daemon_is_bounded_and_counts_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = StatsClient(f"ipc://{tmp_path}/nobody")
    reporter = client.reporter("c")
    reporter.add_stats("k", [1.0, 2.0, 3.0])
    assert not client.close(0.05)
    reporter.add_stat("k", 4.0)
    reporter.add_stats("k", [5.0])
    reporter.write_stats(1)
    client.reporter("new").add_stat("k", 1.0)
    statistics = client.statistics()
    assert (statistics.values_added, statistics.values_lost, statistics.values_pending) == (3, 3, 0)
    assert statistics.after_close == 4
    assert any("3 values lost" in line for line in caplog.messages)


def test_a_process_that_ends_waits_longer_for_a_daemon_that_is_slow_than_for_none(tmp_path: Path) -> None:
    address, stored = f"ipc://{tmp_path}/slow", Stored()
    code = "from stats_aggregator_client import StatsReporter; StatsReporter('c').add_stat('k', 7.0)"
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": address}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as child, zmq.Context() as context:
        with context.socket(zmq.ROUTER) as router:
            router.linger = 0
            router.bind(address)
            assert router.poll(10_000), "its HELLO"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(_NEVER_REACHED_S + 0.8)
        with Peer(address, stored):
            assert child.wait(20) == 0
    assert stored.values() == {"k": [7.0]}


def test_garbage_from_the_daemon_costs_itself_alone() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        wait_connected(client, peer)

        def garbage() -> None:
            for connection in peer._known:
                for frames in ([b""], [b"\xc1"], [os.urandom(50)], [b"a", b"b"]):
                    peer._router.send_multipart([connection, *frames])

        peer._do(garbage)
        client.reporter("c").add_stat("k", 1.0)
        assert client.flush(10)
        assert len(peer.hellos) == 1


def test_hello_is_the_first_message_of_every_connection(tmp_path: Path) -> None:
    address, stored = f"ipc://{tmp_path}/first", Stored()
    with StatsClient(address, **FAST) as client:
        for _ in range(3):
            client.reporter("c").add_stat("k", 1.0)
            with Peer(address, stored) as peer:
                assert client.flush(20)
                assert isinstance(peer.came[0], Hello)


def test_an_address_that_cannot_be_connected_to_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "address"
    file.write_text("tcp://-:1")
    with Peer() as peer, StatsClient(f"@{file}", **FAST) as client:
        client.reporter("c").add_stat("k", 1.0)
        assert not client.flush(0.2)
        file.write_text(peer.address)
        assert client.flush(20)
        assert peer.stored.values() == {"k": [1.0]}
    assert sum("Invalid argument" in line for line in caplog.messages) == 1
