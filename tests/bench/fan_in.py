"""Fan-in: what many workers cost one daemon, each with a batch of 50 keys a second."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.bench.bare_router import BareRouter
from tests.bench.crowd import Crowd
from tests.bench.fit import growth
from tests.bench.processes import CPU_TICK_S, children, cpu_s, resident_mb
from tests.bench.raw_session import CATEGORY, Shape
from tests.bench.row import Row
from tests.bench.stored import Stored
from tests.system.daemons import Daemon

_SHAPE = Shape(50, 1)
_SESSIONS = (10, 100, 1_000, 5_000)
_FILES_EACH = 3
"""A DEALER has an eventfd and a connection, and what is connecting may have another."""


class Cost(NamedTuple):
    """What a crowd cost whoever it talked to."""

    cpu_share: float
    """Of one core."""
    all_cpu_share: float
    """With the processes that it has started, the writers'."""
    resident_mb: float
    p50_ms: float
    p99_ms: float


def measure_fan_in(short: bool) -> Iterator[Row]:
    """Yield CPU, memory and latency at ten times as many sessions each time."""
    numbers, warm_up_s, seconds = (_SESSIONS[:2], 0.1, 0.6) if short else (_SESSIONS, 3.0, 12.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cpu_by_sessions = {}
    try:
        for sessions in numbers:
            assert hard >= sessions * _FILES_EACH, f"{hard} open files are too few for {sessions} sessions"
            with BareRouter() as router, Crowd(router.address, sessions, _SHAPE) as crowd:
                bare = _watched(crowd, router.pid, warm_up_s, seconds)
            ours, idle_mb, counts = _daemon(sessions, warm_up_s, seconds)
            cpu_by_sessions[sessions] = ours.cpu_share
            yield from _rows(sessions, ours, bare, idle_mb, counts)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield growth("the daemon's CPU, as sessions grow", cpu_by_sessions, "a second and session")


def _daemon(sessions: int, warm_up_s: float, seconds: float) -> tuple[Cost, float, dict[str, int]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), "--writer", "jsonl") as daemon,
    ):
        idle_mb = resident_mb(daemon.pid)
        with Crowd(daemon.address, sessions, _SHAPE) as crowd:
            cost = _watched(crowd, daemon.pid, warm_up_s, seconds)
            acknowledged = crowd.num_acknowledged * _SHAPE.num_values
        assert daemon.stop() == 0, daemon.log.read_text()
        with Stored(daemon.directory) as store:
            return cost, idle_mb, {"acknowledged": acknowledged, "stored": store.num_values(CATEGORY)}


def _watched(crowd: Crowd, pid: int, warm_up_s: float, seconds: float) -> Cost:
    crowd.push(warm_up_s)
    pids = [pid, *children(pid)]
    began, before = time.monotonic(), [cpu_s(each) for each in pids]
    latencies_s = crowd.push(seconds)
    took_s = time.monotonic() - began
    # A few sessions for a short time take less than the system counts.
    shares = [max(cpu_s(each) - cpu, CPU_TICK_S) / took_s for each, cpu in zip(pids, before, strict=True)]
    p50_s, p99_s = np.percentile(latencies_s, [50, 99])
    return Cost(shares[0], sum(shares), resident_mb(pid), float(p50_s) * 1e3, float(p99_s) * 1e3)


def _rows(sessions: int, ours: Cost, bare: Cost, idle_mb: float, counts: dict[str, int]) -> Iterator[Row]:
    cpu_note = f"{ours.all_cpu_share:.1%} with its writers"
    name = f"{sessions:,} sessions"
    yield Row(
        f"{name}, the daemon's CPU", ours.cpu_share * 100, "% of a core", "the bare ROUTER",
        ours.cpu_share / bare.cpu_share, note=cpu_note, counts=counts,
    )  # fmt: skip
    yield Row(f"{name}, the daemon's memory", ours.resident_mb, "MB", "when idle", ours.resident_mb / idle_mb)
    for what, figure, reference in (
        ("p50", ours.p50_ms, bare.p50_ms),
        ("p99", ours.p99_ms, bare.p99_ms),
    ):
        yield Row(f"{name}, ack {what}", figure, "ms", "the bare ROUTER", figure / reference)
