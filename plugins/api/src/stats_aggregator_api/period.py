"""Period: the span that one set of summaries covers, and that set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .summary import StatSummary


@dataclass(frozen=True, slots=True)
class Period:
    """The span of one (run, category) that its summaries cover, and how complete it is.

    `start` and `end` are nanoseconds since the epoch, in the daemon's time.
    """

    run: str
    category: str
    ordinal: int
    """Counts up per (run, category) and is never reused."""
    id: str
    """Stable over redeliveries: a hash of daemon, run, category and ordinal."""
    start: int
    end: int
    step: int
    workers_reporting: int = 0
    """Workers whose values are in this period."""
    workers_expected: int = 0
    """Workers that were alive at its end and have ever sent to this category."""
    late: int = 0
    """Values that belong to an earlier window that was closed already; they are in the summaries."""
    lost: int = 0
    """Values that workers had to drop; they are in no summary."""
    uncertain: int = 0
    """Values whose acknowledgement was never seen: they may or may not be in a summary."""
    duplicates: int = 0
    """Batches that came again and were not counted again."""
    unseen: int = 0
    """Values that this plugin's `on_add_stat` was not called for."""


class PeriodSummaries(Mapping[str, StatSummary]):
    """The summaries of one period by key: a frozen mapping with the `period` they belong to."""

    __slots__ = ("_summaries", "period")

    def __init__(self, period: Period, summaries: Mapping[str, StatSummary]) -> None:
        self.period = period
        self._summaries = dict(summaries)

    def __getitem__(self, key: str) -> StatSummary:
        return self._summaries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._summaries)

    def __len__(self) -> int:
        return len(self._summaries)

    def __repr__(self) -> str:
        return f"PeriodSummaries({self.period!r}, {self._summaries!r})"
