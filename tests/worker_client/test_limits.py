"""Credit, batch size and memory are kept, and what is dropped is counted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from stats_aggregator_client.wire import Batch
from tests.worker_client.peer import Peer, wait_connected

FAST = {"flush_interval_s": 0.02}


def test_credit_bounds_what_is_in_flight() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        peer.credit = 20_000
        wait_connected(client, peer)
        peer.acking = False
        values = [random.Random(1).random() for _ in range(50_000)]
        client.reporter("c").add_stats("k", values)
        peer.wait(lambda: sum(map(len, _frames(peer, "c"))) >= 10_000)
        assert not client.flush(0.3)
        assert sum(map(len, _frames(peer, "c"))) <= 20_000
        peer.resume()
        assert client.flush(20)
        assert max(map(len, _frames(peer, "c"))) <= 20_000
        assert peer.stored.values("c") == {"k": values}


def _frames(peer: Peer, category: str) -> list[bytes]:
    found = [frame for frames in list(peer.frames.values()) for frame in frames]
    return [frame for frame in found if category.encode() in frame[:40]]


def test_a_credit_of_zero_permits_nothing_new() -> None:
    with Peer() as peer, StatsClient(peer.address, **FAST) as client:
        wait_connected(client, peer)
        peer.credit = 0
        peer.acknowledge_all()
        client.reporter("wait").add_stat("k", 0.0)
        client.flush(0.3)  # the ACK of this one says 0 at the latest
        came = len(peer.came)
        client.reporter("c").add_stat("k", 1.0)
        assert not client.flush(0.3)
        assert not [m for m in peer.came[came:] if isinstance(m, Batch) and m.category == "c"]
        peer.credit = 1 << 20
        peer.acknowledge_all()
        assert client.flush(10)
        assert peer.stored.values("c") == {"k": [1.0]}


def test_a_large_array_travels_in_batches_that_fit() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        peer.credit = 64 << 20
        wait_connected(client, peer)
        reporter = client.reporter("c")
        reporter.add_steps(5)
        reporter.add_stats("k", [float(value) for value in range(300_000)])
        assert client.flush(20)
        batches = peer.stored.batches("c")
        assert len(batches) >= 9
        assert [batch.steps for batch in batches] == [0] * (len(batches) - 1) + [5]
        assert peer.stored.values("c")["k"] == [float(value) for value in range(300_000)]


def test_the_overflow_drops_the_oldest_unsent_and_says_how_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"ipc://{tmp_path}/overflow"
    with StatsClient(address, buffer_bytes=1 << 20) as client:
        reporter = client.reporter("c")
        for begin in range(0, 400_000, 10_000):
            reporter.add_steps(1)
            reporter.add_stats("k", [float(value) for value in range(begin, begin + 10_000)])
        assert not client.flush(0.05)
        statistics = client.statistics()
        assert statistics.pending_bytes <= 1 << 20
        assert statistics.values_lost > 200_000
        with Peer(address) as peer:
            assert client.flush(20)
            kept = peer.stored.values()["k"]
            assert kept == [float(value) for value in range(400_000 - len(kept), 400_000)]
            assert sum(batch.lost for batch in peer.stored.batches()) == 400_000 - len(kept)
            assert sum(batch.steps for batch in peer.stored.batches()) == 40
            statistics = client.statistics()
            assert statistics.values_added == 400_000
            assert statistics.values_acked + statistics.values_lost == 400_000
    assert sum("the oldest are dropped" in line for line in caplog.messages) == 1
