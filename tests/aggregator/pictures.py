"""Pictures of an engine's state, to compare one that crashed with one that lives."""

from __future__ import annotations

from typing import Any

import numpy as np

from stats_aggregator.engine.state import State
from stats_aggregator.periods.periods import Category
from stats_aggregator.pooling.accumulators import Accumulator
from stats_aggregator.pooling.moments import _COLUMNS
from stats_aggregator.pooling.series import SeriesCache
from stats_aggregator_api import PeriodSummaries


def picture(state: State) -> dict[str, Any]:
    """Return all that a replay must rebuild, bit for bit."""
    return {
        "sessions": {
            s.id: (s.worker, s.run, s.process, s.taken_seq, s.durable_seq, tuple(s.refused))
            for s in state.sessions
        },
        "categories": {name: _category(category) for name, category in state.categories.items()},
    }


def _category(category: Category) -> dict[str, Any]:
    axis, round_ = category.axis, category.round
    return {
        "next_ordinal": category.next_ordinal,
        # Of no meaning where time ends nothing; the store then knows more than the engine did.
        "closed_through_ns": category.closed_through_ns if category.by_time else None,
        "written_by_producer": category.written_by_producer,
        "axis": (axis.absolute, axis.counted, axis.last),
        "round": (round_.writers, round_.written, round_.owed, round_.straggler),
        "senders": category.senders,
        "may_write": category.may_write,
        "boundary": category.boundary if category.periods else None,
        "windows": {bounds: period.key for bounds, period in category.windows.items()},
        "periods": {
            ordinal: (
                p.start_ns,
                p.window_ns,
                p.step,
                p.late,
                p.lost,
                p.uncertain,
                _accumulator(p.accumulator),
            )
            for ordinal, p in category.periods.items()
        },
    }


def _accumulator(accumulator: Accumulator) -> dict[str, Any]:
    size, folded = len(accumulator.series), accumulator.retained
    # How much of it has been sorted into buckets yet is a matter of when; what comes of it is not.
    retained = Accumulator.load(accumulator.dump(), SeriesCache()).retained
    kept = retained.close()
    return {
        "keys": accumulator.series.keys,
        "aggregations": accumulator.series.aggregations,
        "workers": accumulator.workers,
        "num_values": accumulator.num_values,
        "moments": {name: _bits(getattr(accumulator.moments, name)[:size]) for name in _COLUMNS},
        "kept": tuple(map(_bits, (kept.series, kept.counts, kept.values))),
        "buckets": tuple(map(_bits, (retained.buckets.codes, retained.buckets.counts))),
        "folded": (folded._first_fate, _bits(folded._fate[:size]), folded.buckets.mantissa_bits),
        "limits": accumulator.limits,
        "latest": tuple(map(_bits, accumulator.latest.rows())),
    }


def _bits(column: np.ndarray) -> bytes:
    return column.tobytes()


def told(summaries: PeriodSummaries) -> tuple[Any, ...]:
    """Return what a stored period says, but for what only the moment of its closing decides."""
    period = summaries.period
    figures = {key: repr(summary) for key, summary in summaries.items()}
    return (
        period.run, period.category, period.ordinal, period.id, period.step, period.workers_reporting,
        period.late, period.lost, period.uncertain, figures,
    )  # fmt: skip
