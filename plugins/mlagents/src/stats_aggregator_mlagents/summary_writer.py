"""SummaryWriter: what a TensorboardWriter's `summary_writers` hold, without PyTorch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.text import metadata as text_metadata

from stats_aggregator_api import Buckets, StatsAggregationMethod, StatSummary, Values
from stats_aggregator_writers.event_file import EventFile
from stats_aggregator_writers.events import histogram

_KIND = "plugin"
"""In the names of these files: the daemon's own writer has some in the same directory."""


class SummaryWriter:
    """Draws points into the event files of one directory; has PyTorch's methods for numbers and text.

    What is added reaches the disk with `flush`, and no later than the end of the call of the plugin that it
    was added in.
    """

    def __init__(self, log_dir: str) -> None:
        """Write below `log_dir`; nothing is made before there is something to write."""
        self.log_dir = log_dir
        self._events: list[event_pb2.Event] = []
        self._file: EventFile | None = None

    def get_logdir(self) -> str:
        """Return the directory."""
        return self.log_dir

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add a point."""
        with np.errstate(over="ignore"):  # past float32, which TensorBoard keeps, it is infinite
            value = float(np.float32(scalar_value))
        self._add(summary_pb2.Summary.Value(tag=tag, simple_value=value), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add a distribution, of numbers or of a pooled StatSummary; `bins` are always relative ones."""
        summary = values if isinstance(values, StatSummary) else _summary_of(values)
        if summary.num:
            self._add(summary_pb2.Summary.Value(tag=tag, histo=histogram(summary)), global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add text, under the tag that PyTorch gives it."""
        tag = f"{tag}/text_summary"
        tensor = tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING,
            tensor_shape=tensor_shape_pb2.TensorShapeProto(
                dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]
            ),
            string_val=[str(text_string).encode()],
        )
        metadata = text_metadata.create_summary_metadata(tag, None)
        value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
        self._add(value, global_step, walltime)

    def _add(self, value: summary_pb2.Summary.Value, step: int | None, walltime: float | None) -> None:
        self._events.append(
            event_pb2.Event(
                wall_time=time.time() if walltime is None else walltime,
                step=int(step or 0),
                summary=summary_pb2.Summary(value=[value]),
            )
        )

    def flush(self) -> None:
        """Write what was added, durably. Raises OSError where that cannot be; the daemon calls again."""
        events, self._events = self._events, []
        if events:
            # After an error the file is not used again: its end may be torn.
            file, self._file = self._file or EventFile(self.log_dir, time.time_ns(), _KIND), None
            file.append(events)
            self._file = file

    def close(self) -> None:
        """Write what was added; more may be added later."""
        self.flush()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _summary_of(values: Any) -> StatSummary:
    given = np.asarray(values, dtype=np.float64).ravel()
    flat = given[np.isfinite(given)]
    some = flat if flat.size else np.zeros(1)
    return StatSummary(
        aggregation_method=StatsAggregationMethod.HISTOGRAM,
        num=int(flat.size),
        mean=float(some.mean()),
        std=float(some.std()),
        sum=float(some.sum()),
        min=float(some.min()),
        max=float(some.max()),
        last=float(some[-1]),
        full_dist=Values(flat.tobytes()),
        buckets=Buckets.of(flat.tolist()),
    )
