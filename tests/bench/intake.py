"""How many values a second one daemon takes from two workers, acknowledged and stored."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.system.daemons import Daemon

_SECONDS, _WORKERS = 4, 2
_SHAPES = ((50, 1), (50, 20), (50, 200), (10, 10_000))


def values_per_s(
    mode: str,
    keys: int,
    values: int,
    *options: str,
    environment: dict[str, str] | None = None,
    exit_code: int = 0,
) -> float:
    """Return what a daemon with these options takes from two workers, and stores, in a second."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Daemon(Path(directory), "--writer", "jsonl", *options, environment=environment) as daemon,
    ):
        command = [sys.executable, "-m", "tests.bench.pusher", mode, daemon.address, str(_SECONDS)]
        workers = [
            subprocess.Popen([*command, str(keys), str(values)], stdout=subprocess.PIPE, text=True)
            for _ in range(_WORKERS)
        ]
        printed = [worker.communicate(timeout=120)[0].split() for worker in workers]
        code = daemon.stop()
        assert code == exit_code, f"the daemon ended with {code}: {daemon.log.read_text()}"
        stored = sum(
            summary["num"]
            for path in daemon.results.glob("*/summaries.jsonl")
            for line in daemon.summaries(path.parent.name)
            if line["category"] == "bench"
            for summary in line["stats"].values()
        )
    acknowledged = sum(int(values) for values, _ in printed)
    assert stored == acknowledged, f"{acknowledged} acknowledged, {stored} in summaries"
    return acknowledged / max(float(seconds) for _, seconds in printed)


def measure_intake() -> list[dict[str, Any]]:
    """Return values a second by batch shape, full durability beside none."""
    rows = []
    for keys, values in _SHAPES:
        full, none = (values_per_s("raw", keys, values, "--durability", level) for level in ("full", "none"))
        rows.append(
            {
                "what": f"one daemon, 2 workers, batches of {keys} keys x {values}, full",
                "figure": full / 1e6,
                "unit": "million values/s",
                "beside": f"{full / none:.0%} of durability none; {full / (keys * values):,.0f} batches/s",
            }
        )
    return rows


def measure_client() -> list[dict[str, Any]]:
    """Return values a second through the real client."""
    figure = values_per_s("client", 50, 20)
    return [
        {
            "what": "two real clients, add_stats of 20 values to 50 keys, full",
            "figure": figure / 1e6,
            "unit": "million values/s",
            "beside": "client and daemon share the cores",
        }
    ]
