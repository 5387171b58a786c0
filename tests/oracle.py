"""The oracle: what the summaries must say, computed again from who sent how many values.

Every value is computable from its worker's number and its place among that worker's values, and each worker
has a key of its own. A worker's values are taken in the order in which it sent them, so what is counted of it
is a first part of them: its length gives every count, sum, extreme and bucket. Acknowledged is a part of
counted, counted a part of sent; a value that is missing or counted twice shows in the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stats_aggregator.store.store import Store
from stats_aggregator.store.stored import StoredPeriod
from stats_aggregator_api import Buckets, PeriodSummaries, StatSummary

_SCATTER, _RANGE = 7919, 1_000_003


def value(worker: int, index: int) -> float:
    """Return the value number `index` of a worker: an integer, never the same twice within a million."""
    return float(worker * 1000 + index * _SCATTER % _RANGE + 1)


def key(worker: int) -> str:
    """Return the key under which a worker sends its values."""
    return f"worker {worker}"


class Expected(NamedTuple):
    """What the first values of a worker come to; all numbers are exact in a double."""

    num: int
    sum: float
    min: float
    max: float
    buckets: dict[int, int]


@lru_cache(maxsize=256)
def expected(worker: int, num: int) -> Expected:
    """Return what the first `num` values of a worker come to."""
    values = [value(worker, index) for index in range(num)]
    buckets = Buckets.of(values)
    return Expected(
        num, sum(values), min(values), max(values), dict(zip(buckets.keys, buckets.counts, strict=True))
    )


class Row(NamedTuple):
    """What became of one worker's values. `given_up` are those that its client says it lost."""

    worker: int
    sent: int
    acked: int
    counted: int
    given_up: int


@dataclass(slots=True)
class _Told:
    sent: int = 0
    acked: int = 0
    given_up: int = 0


@dataclass(slots=True)
class Oracle:
    """Told what was sent and acknowledged, it checks summaries; `fired` counts the faults that came."""

    fired: Counter[str] = field(default_factory=Counter)
    _told: dict[int, _Told] = field(default_factory=dict)

    def sent(self, worker: int, num: int) -> None:
        """Note that the first `num` values of a worker may have been sent."""
        told = self._told.setdefault(worker, _Told())
        told.sent = max(told.sent, num)

    def acked(self, worker: int, num: int) -> None:
        """Note that the first `num` values of a worker were acknowledged."""
        self.sent(worker, num)
        self._told[worker].acked = max(self._told[worker].acked, num)

    def gave_up(self, worker: int, num: int) -> None:
        """Note that a worker's client says of `num` values that they are lost or uncertain."""
        self._told.setdefault(worker, _Told()).given_up = num

    def check(self, periods: Iterable[PeriodSummaries]) -> list[Row]:
        """Compare all periods together with what was sent; raise AssertionError where they disagree."""
        pooled: dict[str, list[StatSummary]] = {}
        ids: Counter[str] = Counter()
        for period in periods:
            ids[period.period.id] += 1
            for name, summary in period.items():
                pooled.setdefault(name, []).append(summary)
        twice = [period for period, times in ids.items() if times > 1]
        assert not twice, f"periods that stand twice: {twice}"
        unknown = set(pooled) - {key(worker) for worker in self._told}
        assert not unknown, f"counted, and never sent: {sorted(unknown)}"
        return [
            _row(worker, told, pooled.get(key(worker), [])) for worker, told in sorted(self._told.items())
        ]

    def sometimes(self, *names: str) -> None:
        """Fail where one of these faults never came: then nothing was shown."""
        missing = [name for name in names if not self.fired[name]]
        assert not missing, f"never happened: {missing}; what did: {dict(self.fired)}"


def _row(worker: int, told: _Told, summaries: list[StatSummary]) -> Row:
    num = sum(summary.num for summary in summaries)
    found = f"{key(worker)}: sent {told.sent}, acknowledged {told.acked}, counted {num}"
    assert num <= told.sent, f"{found}: counted what was never sent, or twice"
    assert told.acked <= num + told.given_up, (
        f"{found}, given up {told.given_up}: acknowledged and not counted"
    )
    if num and not told.given_up:
        right = expected(worker, num)
        # All are integers far below 2**53: a sum that differs at all has other values in it.
        total = sum(summary.sum for summary in summaries)
        assert total == right.sum, f"{found}: the sum is {total}, not {right.sum}: other values"
        assert min(summary.min for summary in summaries if summary.num) == right.min, found
        assert max(summary.max for summary in summaries if summary.num) == right.max, found
        if all(summary.buckets.mantissa_bits == 7 for summary in summaries):
            buckets: Counter[int] = Counter()
            for summary in summaries:
                buckets.update(dict(zip(summary.buckets.keys, summary.buckets.counts, strict=True)))
            assert dict(buckets) == right.buckets, f"{found}: the buckets hold other values"
    return Row(worker, told.sent, told.acked, num, told.given_up)


def stored_periods(data_directory: Path, category: str | None = None) -> list[PeriodSummaries]:
    """Return every period in a data directory's store, in the order in which they were stored."""
    store = Store(data_directory / "store.sqlite", durability="none")
    try:
        found = []
        for run in store.runs():
            position = 0
            while (entry := store.next_entry(run.run, position)) is not None:
                position = entry.position
                if isinstance(entry, StoredPeriod):
                    found.append(entry.summaries)
    finally:
        store.close()
    return [each for each in found if category in (None, each.period.category)]


def table(rows: Iterable[Row], extra: dict[str, object] | None = None) -> str:
    """Return the rows' totals as lines for a person: a name and a figure each."""
    rows = list(rows)
    totals: dict[str, object] = {
        "workers": len(rows),
        "values sent": sum(row.sent for row in rows),
        "values acknowledged": sum(row.acked for row in rows),
        "values counted": sum(row.counted for row in rows),
        "acknowledged and lost": sum(max(row.acked - row.counted, 0) for row in rows),
        **(extra or {}),
    }
    return "\n".join(f"{name:<28}{figure:>14}" for name, figure in totals.items())
