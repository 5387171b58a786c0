"""Example summaries: what a writer will meet sooner or later."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

from ..aggregation import StatsAggregationMethod
from ..period import Cause, Period, PeriodSummaries
from ..summary import StatSummary
from .summarize import summarize

_SECOND_NS = 1_000_000_000
_FIRST_START_NS = 1_767_225_600 * _SECOND_NS
_PERIOD_NS = 10 * _SECOND_NS

RUN, OTHER_RUN = "run-1", "another run/2"
ODD_CATEGORIES = (
    "..", ".", "../../escaped", "/absolute", "a/b", "CON", "nul.txt", "-rf", "trailing. ", "x.csv", "x.CSV",
    'quote"d, comma', "percent%41", "[bold]markup[/bold]", "雪だるま ☃", "e\u0301", "n" * 512, "雪" * 170,
)  # fmt: skip
"""Categories whose names a file system, a format or a screen could take amiss; all are legal names."""
ODD_WORKERS = ("env 1", 'quote"d, comma', '["env-2"]', "雪だるま ☃", "w" * 512)
"""Workers with names that are as odd."""


def example_period(category: str = "3DBall", ordinal: int = 1, *, run: str = RUN, step: int = 0) -> Period:
    """Return the `ordinal`-th period of ten seconds of `category`, with all of its four workers.

    Its id is the same for the same run, category and ordinal. For other fields use `dataclasses.replace`.
    """
    start = _FIRST_START_NS + (ordinal - 1) * _PERIOD_NS
    return Period(
        run=run,
        category=category,
        ordinal=ordinal,
        id=hashlib.sha256(f"{run}\0{category}\0{ordinal}".encode()).hexdigest()[:32],
        start=start,
        end=start + _PERIOD_NS,
        step=step,
        workers_reporting=4,
        workers_expected=4,
        cause=Cause.TIME,
    )


def example_summaries() -> list[PeriodSummaries]:
    """Return periods in an order of delivery: two runs, every aggregation, and all that is unusual.

    All six aggregations; values that are not finite, and none that are; an empty period; percentiles from
    buckets; keys with sections and signs; legal but odd category names; workers missing, values late and
    lost; a step that stands still and one that goes back; what was left over when all workers had ended, and
    a period of the same step after it; a period delivered twice.
    """
    usual = [_training_period(ordinal, 1_000 * ordinal) for ordinal in (1, 2, 3)]
    short = replace(
        usual[2].period, workers_reporting=3, missing=("env-3",), cause=Cause.PATIENCE,
        late=7, lost=2, uncertain=1, duplicates=5, unseen=11,
    )  # fmt: skip
    missing = (*ODD_WORKERS, *(f"env-{number}" for number in range(20 - len(ODD_WORKERS))))
    left = replace(
        example_period(ordinal=10, step=3_001),
        workers_reporting=1, workers_expected=64, missing=missing, cause=Cause.LEFT,
    )  # fmt: skip
    unusual = [
        PeriodSummaries(short, usual[2]),
        PeriodSummaries(example_period(ordinal=4, step=4_000), {}),
        PeriodSummaries(example_period(ordinal=5, step=5_000), _not_finite()),
        PeriodSummaries(example_period(ordinal=6, step=6_000), _past_retained_values()),
        PeriodSummaries(example_period(ordinal=7, step=6_000), _odd_keys()),
        _training_period(8, 2_000),
        _training_period(9, 3_000),
        PeriodSummaries(left, {"Environment/Hits": summarize([1.0]), "left over": summarize([2.0])}),
        _training_period(11, 3_001),
    ]
    odd = [
        PeriodSummaries(example_period(name, step=10), {"value": summarize([1.0, 2.0])})
        for name in ODD_CATEGORIES
    ]
    other = [_training_period(ordinal, 50 * ordinal, run=OTHER_RUN) for ordinal in (1, 2)]
    return [*usual[:2], usual[1], *unusual, *odd, *other]


def _training_period(ordinal: int, step: int, run: str = RUN) -> PeriodSummaries:
    rewards = [math.sqrt(ordinal + i) for i in range(12)]
    workers = [f"env-{i % 4}" for i in range(12)]
    method = StatsAggregationMethod
    return PeriodSummaries(
        example_period(ordinal=ordinal, run=run, step=step),
        {
            "Environment/Cumulative Reward": summarize(rewards, workers=workers),
            "Environment/Episode Length": summarize(range(190, 202), method.HISTOGRAM, workers=workers),
            "Environment/Hits": summarize([1.0, 0.0, 3.0], method.SUM),
            "Environment/Best": summarize(rewards, method.MAX, workers=workers),
            "Environment/Worst": summarize(rewards, method.MIN, workers=workers),
            "Policy/Learning Rate": summarize([3e-4, 2.9e-4], method.MOST_RECENT, workers=["a", "b"]),
            "Losses/Policy Loss": summarize([-0.25]),
            "Is Training": summarize([1.0], method.MOST_RECENT),
            "Step": summarize([float(step)], method.MOST_RECENT),
        },
    )


def _not_finite() -> dict[str, StatSummary]:
    some = [math.nan, 1.5, math.inf, 2.5, -math.inf, math.nan]
    none = [math.nan, math.inf]
    found = {f"some/{method.name}": summarize(some, method) for method in StatsAggregationMethod}
    return found | {f"none/{method.name}": summarize(none, method) for method in StatsAggregationMethod}


def _past_retained_values() -> dict[str, StatSummary]:
    values = [(i - 500) / 7 for i in range(1_000)]
    return {method.name: summarize(values, method, exact=False) for method in StatsAggregationMethod}


def _odd_keys() -> dict[str, StatSummary]:
    keys = [
        "a/b/c/d", "/leading", "trailing/", "//", "..", "../../up", 'with "quotes", and commas', "semi;colon",
        "[red]markup[/red]", "=1+1", "報酬/平均", " ", "k" * 512,
    ]  # fmt: skip
    extremes = [0.0, -0.0, 5e-324, 1e-300, 1e300, -1e300, 1e15, 1e15 + 1]
    return {key: summarize([float(i)]) for i, key in enumerate(keys)} | {"extremes": summarize(extremes)}
