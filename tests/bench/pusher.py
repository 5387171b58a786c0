"""A worker of the benchmark: `python -m tests.bench.pusher MODE ADDRESS SECONDS BATCHES KEYS VALUES`.

`raw` sends ready-made batches as fast as the credit lets it, so that the daemon is what is measured; `client`
pushes through the real client. It ends after SECONDS, or BATCHES where that is not 0. Prints how many values
were acknowledged, and the seconds.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import zmq

from stats_aggregator_client import StatsClient
from tests.bench.raw_session import CATEGORY, RawSession, ReadyBatch, Shape


def push_raw(address: str, seconds: float, batches: int, shape: Shape) -> tuple[int, float]:
    """Push batches of `shape`; return how many values were acknowledged, and the seconds."""
    with zmq.Context() as context:
        session = RawSession(context, address)
        session.greet()
        batch = ReadyBatch(session.id, shape)
        last = batches or sys.maxsize
        began = time.monotonic()
        while session.seq < last and time.monotonic() - began < seconds:
            if session.may_send(len(batch)):
                session.send(batch)
                if not session.hears():
                    continue
            session.receive()
        session.settle()
        took_s = time.monotonic() - began
        session.close()
    return session.durable_seq * shape.num_values, took_s


def push_client(address: str, seconds: float, batches: int, shape: Shape) -> tuple[int, float]:
    """Push through the client as fast as it is acknowledged."""
    column = np.random.default_rng(os.getpid()).normal(size=shape.values)
    names = [f"Environment/key {i}" for i in range(shape.keys)]
    with StatsClient(address) as client:
        reporter = client.reporter(CATEGORY)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            for _ in range(100):
                for name in names:
                    reporter.add_stats(name, column)
            while client.statistics().pending_bytes > 32 << 20:
                time.sleep(0.001)
        client.flush(60)
        return client.statistics().values_acked, time.monotonic() - began


if __name__ == "__main__":
    mode, address, seconds, batches, keys, values = sys.argv[1:]
    push = {"raw": push_raw, "client": push_client}[mode]
    print(*push(address, float(seconds), int(batches), Shape(int(keys), int(values))))
