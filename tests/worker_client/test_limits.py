"""Credit, batch size and memory are kept, and what is dropped is counted."""

from __future__ import annotations

import random
import tracemalloc
from array import array
from pathlib import Path

from stats_aggregator_client import StatsClient
from stats_aggregator_client.chunk import Chunk
from stats_aggregator_client.clock import Clock
from stats_aggregator_client.frames import FrameMaker
from stats_aggregator_client.lane import Lane, Owed
from stats_aggregator_client.timeline import Timeline
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


def test_the_own_summaries_keep_half_as_much_as_the_buffer_over_all_categories(tmp_path: Path) -> None:
    address, off = f"ipc://{tmp_path}/nobody", {"flush_interval_s": 60, "close_timeout_s": 0.0}
    with StatsClient(address, buffer_bytes=1 << 20, **off) as client:
        for index in range(40):
            reporter = client.reporter(f"c{index % 4}")
            reporter.add_stats(f"k{index}", range(8000))
            assert reporter.get_stats_summaries(f"k{index}").last == 7999.0
        client.flush(0)
        kept = [client.reporter(f"c{index % 4}").get_stats_summaries(f"k{index}").num for index in range(40)]
        columns = [column for buffer in client._buffers.values() for column in buffer.columns.all]  # type: ignore[union-attr]
        assert set(kept) == {(1 << 20) // 16 // 40}
        assert sum(len(column.history) for column in columns) * 8 <= (1 << 19) * 5 // 4


def test_encoded_series_are_kept_within_a_bound() -> None:
    frames = FrameMaker(Timeline(Clock()))
    lane = Lane("c")
    counts, values = array("I", [1] * 100), array("d", [1.0] * 100).tobytes()
    tracemalloc.start()
    for number in range(1, 501):
        series = tuple((f"{number}/{index}".ljust(200, "x"), 0) for index in range(100))
        frames.frame(
            lane, Chunk(number, 0, None, 0, 1, 2, series, counts, values), Owed(), b"s" * 16, number, ()
        )
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 6 << 20  # of 15 million bytes of keys, each of which stands there twice
