"""Period: the span that one set of summaries covers, why it ended, and that set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from .summary import StatSummary


class Cause(str, Enum):
    """Why a period ended. Any other text stands for UNKNOWN, so that what another version stored is read."""

    UNKNOWN = ""
    """Not told: it was stored by a version that did not keep causes, or that has others."""
    TIME = "time"
    """Its time window was over."""
    WRITE = "write"
    """All workers that it waited for had written its step, or a later one."""
    PATIENCE = "patience"
    """A worker that it waited for did not write its step in time."""
    LEFT = "left"
    """All workers had ended, and left it over."""
    STEPS = "steps"
    """Its bin of steps was full."""
    BOUND = "bound"
    """Too many periods of the category were open."""
    REWIND = "rewind"
    """The step went back, to an earlier checkpoint."""
    STOP = "stop"
    """The daemon stopped: it may be a part only."""
    EVERY = "every"
    """What ends periods of its category is something else now."""

    @classmethod
    def _missing_(cls, value: object) -> Cause:
        return cls.UNKNOWN


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
    """Workers that were named or seen in this category, until they say goodbye or are unheard for an hour."""
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
    missing: tuple[str, ...] = ()
    """Workers that were expected and are not in this period, by name, at most 20 of them.

    `workers_expected - workers_reporting` is how many there are.
    """
    cause: Cause = Cause.UNKNOWN
    """Why it ended."""


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
