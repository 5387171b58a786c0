"""A worker of the benchmark: `python -m tests.bench.pusher MODE ADDRESS SECONDS KEYS VALUES`.

`raw` sends ready-made batches as fast as the credit lets it, so that the daemon is what is measured; `client`
pushes through the real client. Prints the batches and values that were acknowledged, and the seconds.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import zmq

from stats_aggregator_client import StatsClient
from stats_aggregator_client.wire import Ack, Batch, Hello, Welcome, decode, encode, encode_series


def push_raw(address: str, seconds: float, keys: int, values: int) -> tuple[int, float]:
    """Push batches of `keys` x `values`; return how many values were acknowledged, and the seconds."""
    series = encode_series([(f"Environment/key {i}", 0) for i in range(keys)])
    counts = np.full(keys, values, "<u4").tobytes()
    column = np.random.default_rng(os.getpid()).normal(size=keys * values).astype("<f8").tobytes()
    session = os.urandom(16)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.SNDHWM, 0)
        dealer.connect(address)
        dealer.send(encode(Hello(session, f"pusher-{os.getpid()}", None, os.urandom(16), {}, 1, None)))
        welcome = decode(dealer.recv())
        assert isinstance(welcome, Welcome)
        credit, seq, durable = welcome.credit, 0, 0
        size = len(column) + len(counts) + len(series) + 100
        began = time.monotonic()
        while (running := time.monotonic() - began < seconds) or durable < seq:
            if running and (seq - durable) * size < credit:
                seq, now = seq + 1, time.time_ns()
                dealer.send(
                    encode(Batch(session, seq, "bench", 0, None, 1, now, now, series, counts, column, 0, 0))
                )
                if not dealer.poll(0):
                    continue
            reply = decode(dealer.recv())
            if isinstance(reply, Ack):
                durable, credit = reply.durable_seq, reply.credit
        return durable * keys * values, time.monotonic() - began


def push_client(address: str, seconds: float, keys: int, values: int) -> tuple[int, float]:
    """Push through the client as fast as it is acknowledged."""
    column = np.random.default_rng(os.getpid()).normal(size=values)
    names = [f"Environment/key {i}" for i in range(keys)]
    with StatsClient(address) as client:
        reporter = client.reporter("bench")
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
    mode, address, seconds, keys, values = sys.argv[1:]
    push = {"raw": push_raw, "client": push_client}[mode]
    print(*push(address, float(seconds), int(keys), int(values)))
