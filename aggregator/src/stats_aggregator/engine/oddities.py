"""Oddities: what producers should be told of the values they sent, once each."""

from __future__ import annotations

from ..periods.periods import OpenPeriod
from ..pooling.accumulators import NotFinite, Oddity
from ..pooling.series import OVERFLOW, Disagreement
from .sayings import Sayings


def say_oddities(sayings: Sayings, period: OpenPeriod) -> None:
    """Log NaN and infinities, disagreement on an aggregation, and keys for which there is no room."""
    run, category, _ = period.key
    for odd in period.accumulator.take_oddities():
        what, text = _described(odd, period.accumulator.limits.max_series)
        sayings.once((type(odd), run, category, what), "%s of %s %s", odd.key, category, text)


def _described(odd: Oddity, max_series: int) -> tuple[str, str]:
    """Return what it is the same oddity by, and its text."""
    if isinstance(odd, NotFinite):
        step = "" if odd.step is None else f" (step {odd.step})"
        return odd.key, (
            f"is NaN or infinite, first from worker {odd.worker}{step}; such values are counted apart"
        )
    if isinstance(odd, Disagreement):
        return odd.key, (
            f"came as {odd.taken.name} from worker {odd.worker} and as {odd.refused.name} from worker "
            f"{odd.other_worker}; the first stands for the period"
        )
    return "", (
        f"of worker {odd.worker} goes, with all further keys, into the series {OVERFLOW}: the period has "
        f"{max_series} series (max_series), and no more are kept apart"
    )
