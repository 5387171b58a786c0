"""PARTIALs of values: folded here by rational arithmetic, as a client or relay would."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from stats_aggregator_api import Buckets
from stats_aggregator_client.wire import Partial, PartialSeries, encode_series
from tests.aggregator.peers import Series, Worker

MOST_RECENT = 1


def rounded(number: Fraction) -> float:
    """Return the nearest double; infinite past the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def part(values: Sequence[float], order: tuple[Any, ...], bits: int, most_recent: bool) -> PartialSeries:
    """Return the fields of one series; `order` is that of its last value."""
    finite = [value for value in values if math.isfinite(value)]
    num_nan = sum(map(math.isnan, values))
    num_inf = sum(map(math.isinf, values))
    if not finite:
        figures = dict.fromkeys(("origin", "mean_from_origin", "m2", "sum", "min", "max", "last"), 0.0)
    else:
        origin, num = finite[0], len(finite)
        exact = [Fraction(value) - Fraction(origin) for value in finite]
        mean = sum(exact) / num
        figures = {
            "origin": origin,
            "mean_from_origin": rounded(mean),
            "m2": rounded(sum((value - mean) ** 2 for value in exact)),
            "sum": rounded(sum(map(Fraction, finite), Fraction(0))),
            "min": min(finite),
            "max": max(finite),
            "last": finite[-1],
        }
    buckets = Buckets.of(finite, bits)
    return PartialSeries(
        num=len(finite),
        **figures,
        min_worker=None,
        max_worker=None,
        last_order=order,
        num_nan=num_nan,
        nan_worker=None,
        num_inf=num_inf,
        inf_worker=None,
        bucket_keys=struct.pack(f"<{len(buckets.keys)}i", *buckets.keys),
        bucket_counts=struct.pack(f"<{len(buckets.counts)}Q", *buckets.counts),
        latest=(("", finite[-1], *order),) if most_recent and finite else (),
    )


def partial(
    worker: Worker, category: str, series: Series, t_last: int, *, bits: int = 7, **changed: Any
) -> Partial:
    """Return the worker's next message: these series, folded."""
    seq = changed.pop("seq", None) or worker.next_seq()
    order = (t_last, worker.session, seq, 0)
    return Partial(
        session=worker.session,
        seq=seq,
        category=category,
        closing=0,
        step=None,
        steps=0,
        t_first=t_last,
        t_last=t_last,
        late=0,
        lost=0,
        uncertain=0,
        workers=(),
        mantissa_bits=bits,
        series=encode_series([(key, aggregation) for key, aggregation, _ in series]),
        parts=tuple(part(values, order, bits, method == MOST_RECENT) for _, method, values in series),
    )._replace(**changed)
