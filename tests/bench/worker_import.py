"""What `import stats_aggregator_client` costs a process that does nothing else."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.bench.row import Row

_SOURCE = """
import json, os, sys, time
def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = resident_bytes()
began = time.perf_counter()
import {modules}
took_s = time.perf_counter() - began
print(json.dumps([took_s * 1e3, (resident_bytes() - before) / 1e6, "numpy" in sys.modules]))
"""


def measure_worker_import(short: bool) -> Iterator[Row]:
    """Yield time and memory, medians over fresh processes, beside what it stands on."""
    rounds = 3 if short else 15
    found: dict[str, list[tuple[float, float, bool]]] = {"zmq, msgpack": [], "stats_aggregator_client": []}
    _cost("stats_aggregator_client")  # which compiles what was edited, as pip does when it installs
    for _ in range(rounds):  # in turns, so that all meet the same noise
        for modules, costs in found.items():
            costs.append(_cost(modules))
    bare, ours = (
        [statistics.median(column) for column in zip(*costs, strict=True)] for costs in found.values()
    )
    assert not any(numpy for _, _, numpy in found["stats_aggregator_client"]), "the client imports numpy"
    reference, note = "import zmq, msgpack", "numpy is not imported"
    name = "import stats_aggregator_client"
    yield Row(f"{name}, time", ours[0], "ms", reference, ours[0] / bare[0], note=note)
    yield Row(f"{name}, memory", ours[1], "MB", reference, ours[1] / bare[1])


def _cost(modules: str) -> tuple[float, float, bool]:
    source = _SOURCE.format(modules=modules)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
    )
    took_ms, resident_mb, numpy = json.loads(done.stdout)
    return took_ms, resident_mb, numpy
