"""When memory is full values fold, and every value arrives once all the same, in a batch or in a partial."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from stats_aggregator_api import Buckets
from stats_aggregator_client import StatsAggregationMethod, StatsClient
from stats_aggregator_client.wire import Partial, Rewind, Write
from tests.worker_client.arrivals import buckets_of, pooled
from tests.worker_client.peer import Peer, Stored, parts, wait_connected

MIB = 1 << 20
SMALL = {"buffer_bytes": MIB, "flush_interval_s": 0.02}
MOST = MIB + (256 << 10)
"""What a category holds at most: the buffer, and a batch that is not cut yet."""


def test_an_outage_folds_and_every_value_arrives_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"ipc://{tmp_path}/overflow"
    values = [float(value % 9973) for value in range(400_000)]
    with StatsClient(address, **SMALL) as client:
        reporter = client.reporter("c")
        for begin in range(0, 400_000, 10_000):
            reporter.add_steps(1)
            reporter.add_stats("k", values[begin : begin + 10_000])
            reporter.add_stats("odd", [math.nan, math.inf])
            reporter.set_stat("latest", float(begin))
            assert client.statistics().pending_bytes <= MOST
        reporter.set_step(77)
        assert not client.flush(0.05)
        statistics = client.statistics()
        assert statistics.values_lost == 0
        assert statistics.values_folded > 200_000
        with Peer(address) as peer:
            assert client.flush(20)
            stored, messages = peer.stored, list(peer.stored.messages)
            statistics = client.statistics()
    assert stored.partials()
    assert pooled(messages) == {
        "k": (400_000, sum(values), 0.0, 9972.0, 0, 0),
        "odd": (0, 0.0, math.inf, -math.inf, 40, 40),
        "latest": (40, sum(range(0, 400_000, 10_000)), 0.0, 390_000.0, 0, 0),
    }
    right = Buckets.of(values)
    assert buckets_of(messages, "k") == Counter(dict(zip(right.keys, right.counts, strict=True)))
    both = [*stored.batches(), *stored.partials()]
    assert sum(message.steps for message in both) == 40
    assert [message.step for message in messages if getattr(message, "step", None) is not None] == [77]
    assert sum(message.lost + message.uncertain for message in both) == 0
    assert statistics.values_added == statistics.values_acked == stored.total() == 400_120
    assert (statistics.values_pending, statistics.pending_bytes) == (0, 0)
    assert sum("are folded" in line for line in caplog.messages) == 1


def test_the_sender_folds_before_a_caller_has_to(tmp_path: Path) -> None:
    with StatsClient(f"ipc://{tmp_path}/nobody", close_timeout_s=0.0, **SMALL) as client:
        for value in range(24):
            client.reporter("c").add_stats("k", [float(value)] * 5000)
        assert client.statistics().values_folded == client.statistics().values_lost == 0
        deadline = time.monotonic() + 20
        while client.statistics().pending_bytes > MIB * 3 // 4:
            assert time.monotonic() < deadline
            client.flush(0.02)
        assert client.statistics().values_folded > 0


def test_drop_oldest_drops_the_oldest_and_folds_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"ipc://{tmp_path}/drop"
    with StatsClient(address, buffer_bytes=MIB, on_full="drop_oldest") as client:
        reporter = client.reporter("c")
        for begin in range(0, 400_000, 10_000):
            reporter.add_steps(1)
            reporter.add_stats("k", [float(value) for value in range(begin, begin + 10_000)])
        assert not client.flush(0.05)
        statistics = client.statistics()
        assert statistics.pending_bytes <= MIB
        assert statistics.values_lost > 200_000
        with Peer(address) as peer:
            assert client.flush(20)
            kept = peer.stored.values()["k"]
            assert kept == [float(value) for value in range(400_000 - len(kept), 400_000)]
            assert not peer.stored.partials()
            assert sum(batch.lost for batch in peer.stored.batches()) == 400_000 - len(kept)
            assert sum(batch.steps for batch in peer.stored.batches()) == 40
            statistics = client.statistics()
            assert statistics.values_acked + statistics.values_lost == statistics.values_added == 400_000
            assert statistics.values_folded == 0
    assert sum("the oldest are dropped" in line for line in caplog.messages) == 1


def test_a_daemon_that_acknowledges_nothing_makes_values_fold_and_gets_them_all_later() -> None:
    with Peer() as peer, StatsClient(peer.address, **SMALL) as client:
        wait_connected(client, peer)
        peer.acking = False
        reporter = client.reporter("c")
        for step in range(60):
            reporter.add_stats("k", [float(step)] * 10_000)
            reporter.add_stat("k", 1.0, StatsAggregationMethod.SUM)
            assert client.statistics().pending_bytes <= MOST
        peer.resume()
        assert client.flush(20)
        assert client.statistics().values_folded > 0
        messages = [message for message in peer.stored.messages if message.category == "c"]  # type: ignore[union-attr]
    assert pooled(messages) == {"k": (600_060, 10_000.0 * sum(range(60)) + 60, 0.0, 59.0, 0, 0)}


def test_a_credit_of_zero_makes_values_fold_and_partials_keep_to_the_credit() -> None:
    with Peer() as peer, StatsClient(peer.address, **SMALL) as client:
        wait_connected(client, peer)
        peer.credit = 0
        peer.acknowledge_all()
        client.reporter("wait").add_stat("k", 0.0)
        client.flush(0.3)  # the ACK of this one says 0 at the latest
        reporter = client.reporter("c")
        for index in range(400):
            reporter.add_stats(f"k{index % 20}", [1.01**value for value in range(-500, 500)])
        assert not client.flush(0.1)
        came = len(peer.came)
        peer.credit = 30_000
        peer.acknowledge_all()
        assert client.flush(30)
        partials = peer.stored.partials("c")
        assert partials
        new = [next(iter(frames)) for (_, seq), frames in peer.frames.items() if seq > 2]
        assert new
        assert max(map(len, new)) <= 30_000
        assert not [m for m in peer.came[:came] if isinstance(m, Partial)]
        assert sum(num for num, *_ in pooled(peer.stored.messages).values()) == 400_002  # type: ignore[arg-type]


def test_partials_are_sent_again_the_same_to_the_bit(tmp_path: Path) -> None:
    address, stored = f"ipc://{tmp_path}/again", Stored()
    with StatsClient(address, **SMALL) as client:
        reporter = client.reporter("c")
        for value in range(40):
            reporter.add_stats("k", [float(value)] * 10_000)
        frames: Counter[tuple[bytes, int, bytes]] = Counter()
        for _ in range(2):
            with Peer(address, stored) as peer:
                peer.acking = False  # it takes what comes and dies before it stores it
                peer.wait(lambda peer=peer: any(isinstance(message, Partial) for message in peer.came))
            frames.update({(*key, frame) for key, found in peer.frames.items() for frame in found})
        with Peer(address, stored) as peer:
            assert client.flush(20)
            frames.update({(*key, frame) for key, found in peer.frames.items() for frame in found})
        assert client.statistics().batches_resent > 0
    assert len({(session, seq) for session, seq, _ in frames}) == len(frames)
    assert max(frames.values()) == 3
    assert stored.total() == 400_000


def test_another_daemon_makes_values_steps_and_writes_in_flight_uncertain(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/other"
    with StatsClient(address, **SMALL) as client:
        reporter = client.reporter("c")
        with Peer(address) as first:
            wait_connected(client, first)
            first.acking = False
            reporter.add_steps(5)
            reporter.set_step(9)
            reporter.add_stats("k", [1.0] * 5000)
            reporter.write_stats(10)
            reporter.rewind(3)
            first.wait(lambda: any(isinstance(message, Rewind) for message in first.came))
        with Peer(address) as second:
            assert not client.flush(20)
            statistics = client.statistics()
            second.wait(lambda: second.stored.batches("c"))
            (batch,) = second.stored.batches("c")
            assert (batch.uncertain, batch.values, batch.step, batch.steps) == (5000, b"", 9, 0)
    assert (statistics.values_uncertain, statistics.values_pending) == (5000, 0)
    assert (statistics.notes_uncertain, statistics.steps_uncertain, statistics.notes_lost) == (2, 5, 0)


def test_a_daemon_that_takes_no_partials_refuses_them_and_they_count_as_rejected() -> None:
    with Peer() as peer, StatsClient(peer.address, **SMALL) as client:
        wait_connected(client, peer)
        peer.rejects = lambda message: isinstance(message, Partial)
        peer.acking = False
        for value in range(40):
            client.reporter("c").add_stats("k", [float(value)] * 10_000)
        peer.resume()
        assert not client.flush(20)
        statistics = client.statistics()
        assert statistics.values_rejected == sum(
            part.num
            for partial in peer.stored.rejected
            for _, part in parts(partial)  # type: ignore[arg-type]
        )
        assert statistics.values_rejected > 0
        assert statistics.values_acked + statistics.values_rejected == 400_001


def test_a_full_buffer_keeps_the_order_of_writes_and_their_values(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/writes"
    with StatsClient(address, **SMALL) as client:
        reporter = client.reporter("c")
        for step in range(1, 301):
            reporter.add_stats("k", [float(step)] * 2000)
            reporter.write_stats(step)
        statistics = client.statistics()
        with Peer(address) as peer:
            client.flush(20)  # False where a WRITE went into the next one meanwhile
            statistics = client.statistics()
            messages = list(peer.stored.messages)
    assert statistics.values_acked == 600_000
    writes = [message.step for message in messages if isinstance(message, Write)]
    assert writes == sorted(set(writes))
    assert writes[-1] == 300
    assert statistics.notes_lost == 300 - len(writes)
    before = 0
    period: list[object] = []
    for message in messages:
        if isinstance(message, Write):
            low, high = pooled(period)["k"][2:4]
            assert (low, high) == (before + 1.0, float(message.step))
            before, period = message.step, []
        else:
            period.append(message)
    assert not period


def test_threads_that_fill_the_buffer_at_once_lose_nothing(tmp_path: Path) -> None:
    address, switch = f"ipc://{tmp_path}/threads", sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with StatsClient(address, **SMALL) as client:

            def add(index: int) -> None:
                reporter = client.reporter(f"c{index % 2}")
                for value in range(60):
                    reporter.add_stats("arrays", [float(value)] * 1000)
                    for _ in range(50):
                        reporter.add_stat(f"own {index}", float(value))
                    if value % 20 == 0:
                        reporter.write_stats(value)

            threads = [threading.Thread(target=add, args=(index,)) for index in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not client.flush(0)  # all is cut
            assert client.statistics().pending_bytes <= MIB
            with Peer(address) as peer:
                client.flush(30)
                statistics, found = client.statistics(), pooled(peer.stored.messages)  # type: ignore[arg-type]
    finally:
        sys.setswitchinterval(switch)
    assert statistics.values_added == statistics.values_acked == 4 * 60 * 1050
    assert statistics.values_folded > 0
    assert found["arrays"][:2] == (240_000, 4000.0 * sum(range(60)))
    for index in range(4):
        assert found[f"own {index}"][:2] == (3000, 50.0 * sum(range(60)))


def test_closing_counts_folded_values_as_lost(tmp_path: Path) -> None:
    client = StatsClient(f"ipc://{tmp_path}/nobody", **SMALL)
    for _ in range(60):
        client.reporter("c").add_stats("k", [1.0] * 10_000)
    assert not client.close(0.0)
    statistics = client.statistics()
    assert (statistics.values_lost, statistics.values_pending) == (600_000, 0)
