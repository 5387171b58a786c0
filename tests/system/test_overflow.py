"""Promise 2 with real processes: an outage longer than a client's memory costs no total."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stats_aggregator_api import Buckets
from stats_aggregator_client import StatsAggregationMethod, StatsClient
from tests.oracle import stored_periods
from tests.system.daemons import Daemon
from tests.system.exact import exact

ROUNDS, KEYS = 40, 5


def test_what_was_folded_through_an_outage_counts_like_the_values_themselves(tmp_path: Path) -> None:
    sent: dict[str, list[float]] = {f"k{key}": [] for key in range(KEYS)}
    rng = np.random.default_rng(3)
    address = f"ipc://{tmp_path}/late"
    with StatsClient(address, worker="w", run="run", buffer_bytes=1 << 20, flush_interval_s=0.02) as client:
        reporter = client.reporter("c")
        for round_number in range(ROUNDS):
            for key in range(KEYS):
                values = 1e6 + 10 * rng.standard_normal(2000)
                sent[f"k{key}"] += values.tolist()
                reporter.add_stats(f"k{key}", values)
                reporter.set_stat("gauge", float(round_number))
            assert client.statistics().pending_bytes < 3 << 20
        told = client.statistics()
        assert told.values_folded > 100_000
        assert told.values_lost == 0
        with Daemon(
            tmp_path, "--every", "manual", "--close-on-stop", "--writer", "jsonl", "--bind", address
        ) as daemon:
            reporter.add_stat("k0", 5.0)
            sent["k0"].append(5.0)
            assert client.flush(30)
            received = daemon.status()["received"]
            assert received["partial"] > 0
            assert daemon.stop() == 0
    (period,) = stored_periods(tmp_path / "data")
    assert (period.period.lost, period.period.uncertain, period.period.workers_reporting) == (0, 0, 1)
    for key, values in sent.items():
        found, right = period[key], exact(values)
        assert (found.num, found.min, found.max, found.last) == (right.num, right.min, right.max, values[-1])
        assert abs(found.mean - right.mean) <= 1e-12 * abs(right.mean)
        assert abs(found.std - right.std) <= 1e-9 * right.std
        assert abs(found.sum - right.sum) <= 1e-12 * right.magnitude
        assert not found.exact
        buckets = Buckets.of(values, found.buckets.mantissa_bits)
        assert (list(found.buckets.keys), list(found.buckets.counts)) == (
            list(buckets.keys),
            list(buckets.counts),
        )
        for q in (1, 50, 99):
            true = float(np.percentile(values, q, method="inverted_cdf"))
            assert abs(found.percentile(q) - true) <= found.percentile_error * abs(true)
    assert period["gauge"].aggregation_method is StatsAggregationMethod.MOST_RECENT
    assert (period["gauge"].last, period["gauge"].num) == (ROUNDS - 1.0, 1)
