"""Checkpoints: all that the open periods hold, as records, so that the segments before may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgpack

from ..journal.decisions import Checkpointed, pack
from ..journal.segment import Record, RecordKind
from ..periods.periods import OpenPeriod, PeriodKey
from ..pooling.accumulators import Accumulator
from ..pooling.series import SeriesCache

PIECE_BYTES = 32 << 20
"""The body of a record has a limit."""


class Restored(NamedTuple):
    """A period as its checkpoint has it, and the step that would have ended it."""

    period: OpenPeriod
    boundary: int


def checkpoint_records(open_periods: Iterable[tuple[OpenPeriod, int]]) -> Iterator[Record]:
    """Yield the records of all open periods, each with the step that ends it (or -1)."""
    for period, boundary in open_periods:
        fields = (
            period.start_ns, period.window_ns, period.step, period.late, period.lost, period.uncertain,
            period.duplicates, boundary,
        )  # fmt: skip
        packed: bytes = msgpack.packb((fields, period.accumulator.dump()))
        pieces = [packed[at : at + PIECE_BYTES] for at in range(0, len(packed), PIECE_BYTES)]
        num_values = period.accumulator.num_values
        for number, piece in enumerate(pieces):
            checkpointed = Checkpointed(*period.key, num_values, number, len(pieces), piece)
            yield pack(RecordKind.CHECKPOINT, checkpointed)


class CheckpointReader:
    """Puts periods together from their pieces, which stand one behind the other."""

    def __init__(self, cache: SeriesCache) -> None:
        self._cache = cache
        self._pieces: list[Checkpointed] = []

    def read(self, piece: Checkpointed) -> Restored | None:
        """Return the period that `piece` completes, or None where some of it is missing."""
        if piece.piece == 0:
            self._pieces = []
        self._pieces.append(piece)
        numbers = [(found[:4], found.piece) for found in self._pieces]
        if numbers != [(piece[:4], number) for number in range(piece.pieces)]:
            return None
        return self._restored(self._pieces)

    def _restored(self, pieces: Sequence[Checkpointed]) -> Restored:
        fields, dumped = msgpack.unpackb(b"".join(piece.data for piece in pieces))
        start_ns, window_ns, step, late, lost, uncertain, duplicates, boundary = fields
        accumulator = Accumulator.load(dumped, self._cache)
        key = PeriodKey(*pieces[0][:3])
        period = OpenPeriod(
            key, start_ns, window_ns, accumulator, step, late, lost, uncertain, duplicates,
            taken=accumulator.num_values,
        )  # fmt: skip
        return Restored(period, boundary)
