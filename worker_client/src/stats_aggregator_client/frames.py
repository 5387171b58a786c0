"""Frames: what the outbox gives, as bytes of the wire."""

from __future__ import annotations

import sys
from array import array

from .buckets import little_endian
from .chunk import Chunk, Name
from .fold import Fold, Part
from .lane import Item, Lane, Owed
from .timeline import Timeline
from .windows import last_boundary
from .wire import (
    INT64_MAX,
    Batch,
    Kind,
    Partial,
    PartialSeries,
    Property,
    Rewind,
    Write,
    encode,
    encode_series,
)

_MAX_CACHED_BYTES = 1 << 20
_BIG_ENDIAN = sys.byteorder == "big"
_MOST_RECENT = 1
_OWN = ""
"""The session's own worker, where a worker is named among others."""


class FrameMaker:
    """Encodes batches, partials and notes; it keeps encoded series, which mostly come again."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._packed: dict[tuple[Name, ...], bytes] = {}
        self._packed_bytes = 0

    def frame(
        self, lane: Lane, item: Item, owed: Owed, session: bytes, seq: int, windows: tuple[int, ...]
    ) -> bytes:
        """Return the frame of `item`. A batch or a partial takes with it what the lane `owed`."""
        if isinstance(item, Chunk):
            return encode(self._batch(lane, item, owed, session, seq, windows))
        if isinstance(item, Fold):
            return encode(self._partial(lane, item, owed, session, seq, windows))
        if item.kind is Kind.PROPERTY:
            return encode(Property(session, seq, lane.category, item.type, item.value))
        record = Write if item.kind is Kind.WRITE else Rewind
        return encode(record(session, seq, lane.category, item.step))

    def _batch(
        self, lane: Lane, chunk: Chunk, owed: Owed, session: bytes, seq: int, windows: tuple[int, ...]
    ) -> Batch:
        t_first, t_last = self._span(lane, chunk, windows)
        return Batch(
            session=session,
            seq=seq,
            category=lane.category,
            closing=chunk.closing,
            step=owed.step if chunk.step is None else chunk.step,
            steps=min(owed.steps + chunk.steps, INT64_MAX),
            t_first=t_first,
            t_last=t_last,
            series=self._series(chunk.series),
            counts=little_endian(chunk.counts),
            values=little_endian(array("d", chunk.values)) if _BIG_ENDIAN else chunk.values,
            lost=owed.lost,
            uncertain=owed.uncertain,
        )

    def _partial(
        self, lane: Lane, fold: Fold, owed: Owed, session: bytes, seq: int, windows: tuple[int, ...]
    ) -> Partial:
        t_first, t_last = self._span(lane, fold, windows)
        order = (t_last, session, seq, 0)
        return Partial(
            session=session,
            seq=seq,
            category=lane.category,
            closing=fold.closing,
            step=owed.step if fold.step is None else fold.step,
            steps=min(owed.steps + fold.steps, INT64_MAX),
            t_first=t_first,
            t_last=t_last,
            late=fold.late,
            lost=owed.lost,
            uncertain=owed.uncertain,
            workers=(),
            mantissa_bits=fold.mantissa_bits,
            series=self._series(fold.series),
            parts=[_partial_series(part, order) for part in fold.parts()],
        )

    def _span(self, lane: Lane, item: Chunk | Fold, windows: tuple[int, ...]) -> tuple[int, int]:
        # Within a session times never run backwards in a lane, also where all stamps were carried back.
        lane.last_ns = t_last = max(self._timeline.daemon_ns(item.last), lane.last_ns, 0)
        # What was cut before the windows were known, or joined over them, may span a boundary: it belongs
        # where it ends.
        t_first = max(self._timeline.daemon_ns(item.first), last_boundary(t_last, windows))
        return min(t_first, t_last), t_last

    def _series(self, series: tuple[Name, ...]) -> bytes:
        packed = self._packed.get(series)
        if packed is None:
            packed = encode_series(series) if series else b""
            self._packed_bytes += len(packed)
            if self._packed_bytes > _MAX_CACHED_BYTES:
                self._packed.clear()
                self._packed_bytes = len(packed)
            self._packed[series] = packed
        return packed


def _partial_series(part: Part, order: tuple[int, bytes, int, int]) -> PartialSeries:
    moments = part.moments
    is_latest = part.name[1] == _MOST_RECENT and moments.num > 0
    return PartialSeries(
        num=moments.num,
        origin=moments.origin,
        mean_from_origin=moments.mean_from_origin,
        m2=moments.m2,
        sum=moments.sum + moments.sum_error,
        min=moments.min,
        max=moments.max,
        min_worker=None,
        max_worker=None,
        last=moments.last,
        last_order=order,
        num_nan=moments.num_nan,
        nan_worker=None,
        num_inf=moments.num_inf,
        inf_worker=None,
        bucket_keys=little_endian(part.keys),
        bucket_counts=little_endian(array("Q", part.counts)),
        latest=((_OWN, moments.last, *order),) if is_latest else (),
    )
