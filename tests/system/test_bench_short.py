"""The short form of `make bench`: its rows are there, and what was acknowledged is stored."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.measured import Measured, read
from tests.bench.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    "worker": [
        "add_stat, 1 key, 1 thread", "add_stat, 200 keys, 1 thread",
        "add_stat, 1 key, 4 threads", "add_stat, 200 keys, 4 threads",
        "set_stat, 1 key, 1 thread", "set_stat, 200 keys, 1 thread",
        "list.append, bound", "Histogram.observe of prometheus_client, labels bound",
        "add_scalar of tensorboard.summary.Writer",
        *(f"add_stats of {what} of 10,000, a value"
          for what in ("a float64 array", "a float32 array", "a list")),
        "sending 10,000 stats/s", "sending 1,000,000 stats/s",
        "import stats_aggregator_client, time", "import stats_aggregator_client, memory",
    ],
    "end-to-end": [
        "50x20, a bare ROUTER with acks", "50x20, multiprocessing.Queue",
        "50x20, none", "50x20, process", "50x20, full",
        "2 real clients, add_stats of 20 values to 50 keys, full",
    ],
    "fan-in": [
        *(f"{sessions} sessions, {what}" for sessions in (10, 100)
          for what in ("the daemon's CPU", "the daemon's memory", "ack p50", "ack p99")),
        "the daemon's CPU, as sessions grow",
    ],
    "closing": [
        *(f"{series} series of 100 values, {what}" for series in ("100", "1,000")
          for what in ("stored", "stall of ingestion")),
        "time to the stored summary, as series grow",
        *(f"1,000 categories of one value at once, {what}" for what in ("stored", "stall of ingestion")),
    ],
    "recovery": [f"a journal of 10 MB, batches of 50x1, {what}" for what in ("ready", "speed")],
    "growth": [
        "to take a value each of n series of a period", "to take a batch of 50x1 each of n sessions",
        "to take a batch of 50 keys x n", "to take n batches of 50x20 in one period",
    ],
}  # fmt: skip
STORES = {"worker": 2, "end-to-end": 4, "fan-in": 2, "closing": 3, "recovery": 1, "growth": 0}
"""How many rows of each section say what was acknowledged and what was stored."""
UNCOMPARED = {
    "50x20, a bare ROUTER with acks", "50x20, multiprocessing.Queue",
    "100 series of 100 values, stall of ingestion", "1,000 series of 100 values, stall of ingestion",
    "1,000 categories of one value at once, stall of ingestion",
    "a journal of 10 MB, batches of 50x1, ready",
}  # fmt: skip


pytestmark = pytest.mark.timeout(300)  # it takes half a minute where nobody else is at work


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    path = tmp_path_factory.mktemp("bench") / "short.json"
    command = [sys.executable, "-m", "tests.bench", "--short", "--results", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return read(path)


def test_each_cheap_section_has_each_of_its_rows(measured: dict[str, Measured]) -> None:
    assert list(measured) == [name for name, section in SECTIONS.items() if section.short]
    found = {name: sorted(row.what for row in section.rows) for name, section in measured.items()}
    assert found == {name: sorted(rows) for name, rows in ROWS.items()}


def test_each_figure_is_a_number_beside_a_reference(measured: dict[str, Measured]) -> None:
    for row in (row for section in measured.values() for row in section.rows):
        assert math.isfinite(row.figure), row
        assert row.unit, row
        assert (row.ratio is None) == (row.what in UNCOMPARED), row
        assert row.ratio is None or (math.isfinite(row.ratio) and row.reference), row


def test_as_many_values_are_stored_as_were_acknowledged(measured: dict[str, Measured]) -> None:
    for name, section in measured.items():
        counted = [row.counts for row in section.rows if row.counts]
        assert len(counted) == STORES[name]
        for counts in counted:
            assert counts["stored"] == counts["acknowledged"] > 0
