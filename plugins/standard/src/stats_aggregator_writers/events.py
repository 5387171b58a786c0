"""What becomes of summaries and properties as TensorBoard's protocol buffers."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.text import metadata as text_metadata

from stats_aggregator_api import Period, StatsAggregationMethod, StatSummary
from stats_aggregator_api.bucket import bucket_limits

from .fields import HIDDEN_KEYS

EXTRAS: Mapping[str, Callable[[StatSummary, Period], float]] = {
    "num": lambda summary, _: summary.num,
    "mean": lambda summary, _: summary.mean,
    "std": lambda summary, _: summary.std,
    "sum": lambda summary, _: summary.sum,
    "min": lambda summary, _: summary.min,
    "max": lambda summary, _: summary.max,
    "last": lambda summary, _: summary.last,
    "p5": lambda summary, _: summary.percentile(5),
    "p25": lambda summary, _: summary.percentile(25),
    "p50": lambda summary, _: summary.percentile(50),
    "p75": lambda summary, _: summary.percentile(75),
    "p95": lambda summary, _: summary.percentile(95),
    "num_nan": lambda summary, _: summary.num_nan,
    "num_inf": lambda summary, _: summary.num_inf,
    "workers": lambda _, period: period.workers_reporting,
}
"""What the option `extra` can add for each key, under `KEY/NAME`."""


_LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127


def session_start(step: int, wall_time_s: float) -> event_pb2.Event:
    """Return the event that makes TensorBoard forget what it read at `step` and after."""
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    return event_pb2.Event(wall_time=wall_time_s, step=step, session_log=start)


def points(
    values: Mapping[str, StatSummary], period: Period, extra: Sequence[str]
) -> summary_pb2.Summary | None:
    """Return the points of a period, or None where there is nothing to draw.

    A series without a finite value has no point, nor has a value that no float32 can hold. A tag that is a
    key's own is not given to another's extra.
    """
    found = [
        value
        for key, summary in values.items()
        if key not in HIDDEN_KEYS and summary.num
        for value in _series_points(key, summary, period, extra, values)
    ]
    return summary_pb2.Summary(value=found) if found else None


def _series_points(
    key: str, summary: StatSummary, period: Period, extra: Sequence[str], taken: Container[str]
) -> Iterator[summary_pb2.Summary.Value]:
    scalars = {f"{key}/{name}": EXTRAS[name](summary, period) for name in extra}
    scalars = {tag: value for tag, value in scalars.items() if tag not in taken}
    scalars[key] = summary.aggregated_value
    for tag, value in scalars.items():
        if abs(value) <= _LARGEST_FLOAT32:
            yield summary_pb2.Summary.Value(tag=tag, simple_value=value)
    if summary.aggregation_method is StatsAggregationMethod.HISTOGRAM and f"{key}_hist" not in taken:
        yield summary_pb2.Summary.Value(tag=f"{key}_hist", histo=histogram(summary))


def histogram(summary: StatSummary) -> summary_pb2.HistogramProto:
    """Return the pooled distribution: the buckets that hold values, and an empty one for each gap between."""
    limits: list[float] = []
    counts: list[float] = []
    left = summary.min
    for key, count in zip(summary.buckets.keys, summary.buckets.counts, strict=True):
        low, high = (
            min(max(limit, summary.min), summary.max)
            for limit in bucket_limits(key, summary.buckets.mantissa_bits)
        )
        if low > left:
            limits.append(low)
            counts.append(0)
        limits.append(high)
        counts.append(count)
        left = high
    return summary_pb2.HistogramProto(
        min=summary.min,
        max=summary.max,
        num=summary.num,
        sum=summary.sum,
        sum_squares=summary.num * (summary.std * summary.std + summary.mean * summary.mean),
        bucket_limit=limits,
        bucket=counts,
    )


def text_table(tag: str, value: Any) -> summary_pb2.Summary.Value:
    """Return a property as a table of names and values for TensorBoard's text page."""
    rows = list(flattened(value))
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(
            dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in (len(rows), 2)]
        ),
        string_val=[cell.encode() for row in rows for cell in row],
    )
    metadata = text_metadata.create_summary_metadata(tag, None)
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def flattened(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings as (dotted name, text)."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from flattened(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(value)
