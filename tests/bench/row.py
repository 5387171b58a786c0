"""Row: one figure of the benchmark, beside the reference that was measured in the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. A machine is not as fast as a minute ago, so `ratio` is what is compared with last time.

    `what` is unique in its section, and the same in each run.
    """

    what: str
    figure: float
    unit: str
    reference: str = ""
    """What `figure` was measured beside, in words that read well after "times"."""
    ratio: float | None = None
    """`figure` divided by the reference's; None where it is a reference itself, or stands beside `note`."""
    higher_is_better: bool = False
    note: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What a test can check: such as the values that were acknowledged, and those that were stored."""

    def fell(self, kept: Row) -> float:
        """Return the share of `kept` that this row fell short by: 0.5 is half as good, below 0 is better."""
        if self.ratio is None or kept.ratio is None:
            return 0.0
        now, then = (self.ratio, kept.ratio) if self.higher_is_better else (kept.ratio, self.ratio)
        return 1 - now / then if then > 0 else 0.0
