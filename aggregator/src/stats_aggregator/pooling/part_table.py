"""PartTable: the series of one PARTIAL by columns, checked but for names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stats_aggregator_api.bucket import MANTISSA_BITS
from stats_aggregator_client.wire import (
    ID_BYTES,
    INT64_MAX,
    Partial,
    PartialSeries,
    RejectCode,
    WireError,
)

from .segments import Floats, Ints

MAX_NUM = 1 << 48
"""So many values one PARTIAL may stand for: the sums of thousands of them fit an int64."""
_EXPONENTS = 0x7FF


class PartTable:
    """What a PARTIAL says, a row a series; where a row has no finite value its floats mean nothing.

    `bucket_series` says of each bucket whose it is; its `bucket_keys` are of `mantissa_bits`. `latest` has a
    row and the fields `(worker, value, time, session, seq)` for each worker of a MOST_RECENT series.
    """

    def __init__(self, partial: Partial) -> None:
        """Raises WireError where the PARTIAL makes no sense."""
        _check(0 <= partial.mantissa_bits <= MANTISSA_BITS, f"{partial.mantissa_bits} bits of mantissa")
        size = len(PartialSeries._fields)
        columns: list[Any] = list(zip(*(part[:size] for part in partial.parts), strict=True))
        _check(bool(columns), "a PARTIAL without a series")
        of: Any = PartialSeries._make(columns)
        self.mantissa_bits = partial.mantissa_bits
        self.num, self.num_nan, self.num_inf = (_counts(of.num), _counts(of.num_nan), _counts(of.num_inf))
        _check(bool((self.num + self.num_nan + self.num_inf).all()), "a series without a value")
        self.num_values = sum(map(sum, (of.num, of.num_nan, of.num_inf)))
        """How many values it stands for, NaN and infinities among them."""
        _check(self.num_values <= MAX_NUM, f"{self.num_values} values; at most {MAX_NUM} are allowed")
        self.origin, self.mean_from_origin = _floats(of.origin), _floats(of.mean_from_origin)
        self.m2, self.sum = _floats(of.m2), _floats(of.sum)
        self.min, self.max, self.last = _floats(of.min), _floats(of.max), _floats(of.last)
        self._check_figures()
        self.min_worker: Sequence[str | None] = of.min_worker
        self.max_worker: Sequence[str | None] = of.max_worker
        self.nan_worker: Sequence[str | None] = of.nan_worker
        self.inf_worker: Sequence[str | None] = of.inf_worker
        self.last_order = [_order(order) for order in of.last_order]
        self._read_buckets(of.bucket_keys, of.bucket_counts)
        self.latest = [
            (row, *_latest(found)) for row, latest in enumerate(of.latest) for found in _rows(latest)
        ]

    @property
    def workers(self) -> set[str]:
        """Who is named in it."""
        firsts = {*self.min_worker, *self.max_worker, *self.nan_worker, *self.inf_worker}
        named = {worker for _, worker, _, _ in self.latest if worker}
        return named.union(worker for worker in firsts if worker is not None)

    def _check_figures(self) -> None:
        some = self.num > 0
        finite = np.isfinite(self.origin) & np.isfinite(self.min) & np.isfinite(self.max)
        _check(bool(finite[some].all()), "an origin, min or max that is not finite")
        inside = (self.min <= self.last) & (self.last <= self.max)
        _check(bool(inside[some].all()), "a last that is not from min to max")
        # Sums and squares past 1.8e308 are infinite, as they should be, but never NaN or negative.
        _check(bool((self.m2 >= 0)[some].all()), "an M2 that is negative or NaN")
        is_nan = np.isnan(self.sum) | np.isnan(self.mean_from_origin)
        _check(not is_nan[some].any(), "a sum or mean that is NaN")

    def _read_buckets(self, keys: Sequence[bytes], counts: Sequence[bytes]) -> None:
        sizes = [len(packed) >> 2 for packed in keys]
        fit = all(
            len(packed) == 4 * size and len(counted) == 8 * size
            for packed, counted, size in zip(keys, counts, sizes, strict=True)
        )
        _check(fit, "buckets that are no int32 keys with as many uint64 counts")
        self.bucket_series: Ints = np.repeat(np.arange(len(sizes)), sizes)
        self.bucket_keys: Ints = np.frombuffer(b"".join(keys), dtype="<i4").astype(np.int64)
        counted = np.frombuffer(b"".join(counts), dtype="<u8")
        _check(bool((counted > 0).all()), "a bucket's count that is 0")
        # In floats, since what is too large would wrap and then seem to be right.
        _check(float(counted.sum(dtype=np.float64)) <= 2.0 * MAX_NUM, "buckets that hold too many values")
        self.bucket_counts: Ints = counted.astype(np.int64)
        series, limit = self.bucket_series, _EXPONENTS << self.mantissa_bits
        ascending = (self.bucket_keys[1:] > self.bucket_keys[:-1]) | (series[1:] != series[:-1])
        _check(bool(ascending.all()), "bucket keys that do not ascend")
        _check(bool((np.abs(self.bucket_keys) <= limit).all()), "a bucket of no double")
        totals = np.zeros(len(sizes), dtype=np.int64)
        np.add.at(totals, series, self.bucket_counts)
        _check(bool((totals == self.num).all()), "buckets whose counts do not add up to num")


def _check(is_right: bool, fault: str) -> None:
    if not is_right:
        raise WireError(RejectCode.COLUMN, f"a PARTIAL has {fault}")


def _counts(column: Sequence[int]) -> Ints:
    _check(all(0 <= number <= MAX_NUM for number in column), f"a count that is not from 0 to {MAX_NUM}")
    return np.array(column, dtype=np.int64)


def _floats(column: Sequence[float]) -> Floats:
    return np.array(column, dtype=np.float64)


def _rows(latest: Any) -> Sequence[Any]:
    _check(type(latest) is tuple, "a latest that is no array")
    return tuple(latest)


def _order(order: Any) -> tuple[int, bytes, int]:
    """Return time, session and seq of an order; its index tells nothing more, since a batch is not split."""
    _check(
        type(order) is tuple
        and tuple(map(type, order[:4])) == (int, bytes, int, int)
        and 0 <= order[0] <= INT64_MAX
        and len(order[1]) == ID_BYTES
        and 0 < order[2] <= INT64_MAX,
        "an order that is not [time, session, seq, index]",
    )
    return order[0], order[1], order[2]


def _latest(found: Any) -> tuple[str, float, tuple[int, bytes, int]]:
    _check(
        type(found) is tuple and tuple(map(type, found[:2])) == (str, float) and np.isfinite(found[1]),
        "a latest that is not [worker, value, time, session, seq, index]",
    )
    return found[0], found[1], _order(found[2:])
