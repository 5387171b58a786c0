"""What arrived at a peer, pooled over batches and partials."""

from __future__ import annotations

import math
from array import array
from collections import Counter

from stats_aggregator_api import Buckets
from stats_aggregator_client.wire import Batch, Partial
from tests.worker_client.peer import columns, parts


def pooled(messages: list[object]) -> dict[str, tuple[float, ...]]:
    """Count, sum, min, max, NaN and infinities of each key over batches and partials."""
    found: dict[str, tuple[float, ...]] = {}

    def add(key: str, num: int, total: float, low: float, high: float, nan: int, inf: int) -> None:
        had = found.get(key, (0, 0.0, math.inf, -math.inf, 0, 0))
        found[key] = (
            had[0] + num, had[1] + total, min(had[2], low), max(had[3], high), had[4] + nan, had[5] + inf
        )  # fmt: skip

    for message in messages:
        if isinstance(message, Batch):
            for key, values in columns(message):
                finite = [value for value in values if math.isfinite(value)]
                nan = sum(map(math.isnan, values))
                low, high = min(finite, default=math.inf), max(finite, default=-math.inf)
                add(key, len(finite), math.fsum(finite), low, high, nan, len(values) - len(finite) - nan)
        elif isinstance(message, Partial):
            for key, part in parts(message):
                low, high = (part.min, part.max) if part.num else (math.inf, -math.inf)
                add(key, part.num, part.sum, low, high, part.num_nan, part.num_inf)
    return found


def buckets_of(messages: list[object], key: str) -> Counter[int]:
    found: Counter[int] = Counter()
    for message in messages:
        if isinstance(message, Batch):
            raw = Buckets.of(value for name, values in columns(message) if name == key for value in values)
            found.update(dict(zip(raw.keys, raw.counts, strict=True)))
        elif isinstance(message, Partial):
            assert message.mantissa_bits == 7
            for name, part in parts(message):
                keys, counts = array("i", part.bucket_keys), array("Q", part.bucket_counts)
                if name == key:
                    found.update(dict(zip(keys, counts, strict=True)))
    return found
