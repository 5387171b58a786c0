"""What sending costs a worker beside its own thread.

`python -m tests.bench.worker_sender ADDRESS RATE SECONDS` prints the shares of a core that its own calls
took, and that all other threads of the process took.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stats_aggregator_client import StatsClient
from tests.bench.raw_session import CATEGORY
from tests.bench.row import Row
from tests.bench.stored import Stored
from tests.system.daemons import Daemon

_RATES = (10_000, 1_000_000)
_KEYS, _TURN_S = 50, 0.01


def measure_worker_sender(short: bool) -> Iterator[Row]:
    """Yield the share of a core that sending takes, beside the calls that it sends the values of."""
    seconds = 0.3 if short else 8.0
    for rate in _RATES:
        with (
            tempfile.TemporaryDirectory() as directory,
            Daemon(Path(directory), "--writer", "jsonl") as daemon,
        ):
            command = [
                sys.executable,
                "-m",
                "tests.bench.worker_sender",
                daemon.address,
                str(rate),
                str(seconds),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            calls, sender, acknowledged = map(float, done.stdout.split())
            assert daemon.stop() == 0, daemon.log.read_text()
            with Stored(daemon.directory) as store:
                counts = {"acknowledged": int(acknowledged), "stored": store.num_values(CATEGORY)}
        yield Row(
            f"sending {rate:,} stats/s",
            sender * 100,
            "% of a core",
            "the calls of add_stat",
            sender / calls,
            note=f"those are {calls:.1%}",
            counts=counts,
        )


def _main(address: str, rate: int, seconds: float) -> None:
    names = [f"section/key {i}" for i in range(_KEYS)]
    each = round(rate * _TURN_S / _KEYS)
    with StatsClient(address, run="bench") as client:
        reporter = client.reporter(CATEGORY)
        reporter.add_stat(names[0], 0.5)
        assert client.flush(30)  # connected: that is not what is measured
        calls_s, began, others_before_s = 0.0, time.monotonic(), _others_s()
        for turn in range(round(seconds / _TURN_S)):
            time.sleep(max(0.0, began + turn * _TURN_S - time.monotonic()))
            before_s = time.thread_time()
            for _ in range(each):
                for name in names:
                    reporter.add_stat(name, 0.5)
            calls_s += time.thread_time() - before_s
        assert client.flush(30)
        took_s = time.monotonic() - began
        others_s = _others_s() - others_before_s
        print(calls_s / took_s, others_s / took_s, client.statistics().values_acked)


def _others_s() -> float:
    """Return the processor time of all threads but this one: the sender, and what is libzmq's."""
    return time.process_time() - time.thread_time()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
