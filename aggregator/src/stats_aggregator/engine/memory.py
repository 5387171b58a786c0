"""Memory: which open periods give up their values when all of them together hold too much.

Decided between groups and journaled as FOLD, so that a replay folds at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..periods.periods import OpenPeriod
from ..pooling.retained import Weight
from .sayings import Sayings

_WEIGH_EVERY_BYTES = 16 << 20
"""Memory grows by no more than what came in: after so much of it, all is weighed again."""
_DROPPED_BITS = 2
"""So many at once: then a bucket is as wide as four were, and there are about a quarter of them."""


class Memory:
    """Keeps the values of all open periods under `retain_bytes`, and their buckets too where they can be."""

    def __init__(self, retain_bytes: int, sayings: Sayings) -> None:
        self.folds = 0
        """How many times a period was folded, or its buckets made coarser."""
        self._retain_bytes = retain_bytes
        self._sayings = sayings
        self._weigh_every_bytes = min(_WEIGH_EVERY_BYTES, max(retain_bytes // 8, 1))
        self._unweighed_bytes = self._weigh_every_bytes

    def grew(self, received_bytes: int) -> None:
        """Note that so many bytes of values came in."""
        self._unweighed_bytes += received_bytes

    def to_fold(self, periods: Iterable[OpenPeriod]) -> Iterator[tuple[OpenPeriod, int]]:
        """Yield the periods to fold now, the heaviest first, and to how many bits of mantissa.

        Values go before precision: buckets lose bits only where they alone are too much.
        """
        if self._unweighed_bytes < self._weigh_every_bytes:
            return
        self._unweighed_bytes = 0
        weighed = [(period.accumulator.weight, period) for period in periods]
        values_bytes = sum(weight.values_bytes for weight, _ in weighed)
        buckets_bytes = sum(weight.buckets_bytes for weight, _ in weighed)
        chosen = _chosen(weighed, 0, buckets_bytes - self._retain_bytes)
        coarser = {period.key for period in chosen}
        chosen += _chosen(weighed, 1, values_bytes + buckets_bytes - self._retain_bytes)
        for period in {period.key: period for period in chosen}.values():
            dropped_bits = _DROPPED_BITS if period.key in coarser else 0
            bits = max(period.accumulator.mantissa_bits - dropped_bits, 0)
            self.folds += 1
            self._say(period, bits)
            yield period, bits

    def _say(self, period: OpenPeriod, mantissa_bits: int) -> None:
        run, category, _ = period.key
        self._sayings.once(
            ("fold", run, category, mantissa_bits),
            "memory for values is short (retain_bytes): the percentiles of %s in run %s are now of buckets "
            "of %d bits; num, sum, mean, std, min and max stay exact",
            category,
            run,
            mantissa_bits,
        )


def _chosen(weighed: Sequence[tuple[Weight, OpenPeriod]], place: int, excess_bytes: int) -> list[OpenPeriod]:
    """Return the fewest periods whose weight at `place` is as much as the excess."""
    chosen = []
    for weight, period in sorted(weighed, key=lambda found: (-found[0][place], found[1].key)):
        if excess_bytes <= 0 or not weight[place]:
            break
        chosen.append(period)
        excess_bytes -= weight[place]
    return chosen
