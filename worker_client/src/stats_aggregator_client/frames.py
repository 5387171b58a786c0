"""Frames: what the outbox gives, as bytes of the wire."""

from __future__ import annotations

import sys
from array import array

from .chunk import Chunk, Name
from .clock import Clock
from .outbox import Lane, Note
from .windows import last_boundary
from .wire import Batch, Kind, Property, Rewind, Write, encode, encode_series

_MAX_CACHED = 1024
_BIG_ENDIAN = sys.byteorder == "big"


class FrameMaker:
    """Encodes batches and notes; it keeps the encoded series, which are the same from batch to batch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._packed: dict[tuple[Name, ...], bytes] = {}

    def frame(
        self, lane: Lane, item: Chunk | Note, session: bytes, seq: int, windows: tuple[int, ...]
    ) -> bytes:
        """Return the frame of `item`. A batch takes with it what the lane owes."""
        if isinstance(item, Chunk):
            return self._batch(lane, item, session, seq, windows)
        if item.kind is Kind.PROPERTY:
            return encode(Property(session, seq, lane.category, item.type, item.value))
        record = Write if item.kind is Kind.WRITE else Rewind
        return encode(record(session, seq, lane.category, item.step))

    def _batch(self, lane: Lane, chunk: Chunk, session: bytes, seq: int, windows: tuple[int, ...]) -> bytes:
        # Stamps never run backwards in a lane, whatever the offset to the daemon's time does.
        lane.last_ns = t_last = max(self._clock.daemon_ns(chunk.last_ns), lane.last_ns, 0)
        # What was cut before the windows were known may span a boundary: it belongs where it ends.
        t_first = max(self._clock.daemon_ns(chunk.first_ns), last_boundary(t_last, windows))
        frame = encode(
            Batch(
                session=session,
                seq=seq,
                category=lane.category,
                closing=chunk.closing,
                step=lane.step if chunk.step is None else chunk.step,
                steps=lane.steps + chunk.steps,
                t_first=min(t_first, t_last),
                t_last=t_last,
                series=self._series(chunk.series),
                counts=_little(chunk.counts),
                values=_little(array("d", chunk.values)) if _BIG_ENDIAN else chunk.values,
                lost=lane.lost,
                uncertain=lane.uncertain,
            )
        )
        lane.forget()
        return frame

    def _series(self, series: tuple[Name, ...]) -> bytes:
        packed = self._packed.get(series)
        if packed is None:
            if len(self._packed) >= _MAX_CACHED:
                self._packed.clear()
            packed = self._packed[series] = encode_series(series) if series else b""
        return packed


def _little(column: array[int] | array[float]) -> bytes:
    if _BIG_ENDIAN:
        column = column[:]
        column.byteswap()
    return column.tobytes()
