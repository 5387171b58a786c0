"""Chunk: values of one category that were cut together; joined and split before they are sent."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

Name = tuple[str, int]
"""A series within a category: its key and aggregation."""

VALUE_BYTES = 8
_COUNT_BYTES = 4
_OVERHEAD_BYTES = 700
"""What a chunk costs in memory beside its columns: the record, two buffers' heads, a place in a queue."""
_SERIES_BYTES = 12
"""A count, and a pointer to the name."""
_FRAME_HEAD_BYTES = 200
_PAIR_BYTES = 8


class Chunk(NamedTuple):
    """Values of one category, from the stamp `first` to `last`, of the Timeline.

    `values` are float64 in the machine's order: those of the first series, then of the second, and so on.
    `step` is absolute, `steps` an increment. `late` is how many values come after their period: the WRITE
    that ended it was dropped. A batch has no field for that, so a chunk with late values is sent folded.
    """

    arrival: int
    closing: int
    step: int | None
    steps: int
    first: int
    last: int
    series: tuple[Name, ...] = ()
    counts: array[int] = array("I")
    values: bytes = b""
    late: int = 0

    @property
    def num_values(self) -> int:
        """How many values it holds."""
        return len(self.values) // VALUE_BYTES

    @property
    def cost_bytes(self) -> int:
        """What it takes of memory."""
        return _OVERHEAD_BYTES + _SERIES_BYTES * len(self.counts) + len(self.values)

    @property
    def moves_step(self) -> bool:
        """Whether it carries a step: then later values may belong to another period."""
        return self.step is not None or self.steps > 0


def frame_bytes(chunk: Chunk) -> int:
    """Return at least how long the chunk's frame is, without its category."""
    names = sum(map(_name_bytes, chunk.series))
    return _FRAME_HEAD_BYTES + names + _COUNT_BYTES * len(chunk.counts) + len(chunk.values)


def join(chunks: list[Chunk]) -> Chunk | None:
    """Return one chunk with the values of all, in order; None where a key has two aggregations among them."""
    if len(chunks) == 1:
        return chunks[0]
    found: dict[Name, list[memoryview]] = {}
    for chunk in chunks:
        view, begin = memoryview(chunk.values), 0
        for name, count in zip(chunk.series, chunk.counts, strict=True):
            end = begin + count * VALUE_BYTES
            found.setdefault(name, []).append(view[begin:end])
            begin = end
    if len({key for key, _ in found}) < len(found):
        return None
    counts = array("I", [sum(map(len, parts)) // VALUE_BYTES for parts in found.values()])
    values = b"".join([part for parts in found.values() for part in parts])
    first, last = chunks[0], chunks[-1]
    return last._replace(
        arrival=first.arrival,
        first=first.first,
        series=tuple(found),
        counts=counts,
        values=values,
        late=sum([chunk.late for chunk in chunks]),
    )


def split(chunk: Chunk, limit_bytes: int) -> list[Chunk]:
    """Return the chunk in pieces whose frames are at most `limit_bytes` long, but hold a value at least.

    The order of a series' values is kept. The step stays with the last piece: it may close the period that
    all of them belong to.
    """
    if frame_bytes(chunk) <= limit_bytes:
        return [chunk]
    room = limit_bytes - _FRAME_HEAD_BYTES
    pieces: list[Chunk] = []
    series: list[Name] = []
    counts: array[int] = array("I")
    begin = size = 0
    for name, count, is_last in _marked(zip(chunk.series, chunk.counts, strict=True), len(chunk.series)):
        head = _name_bytes(name) + _COUNT_BYTES
        while count:
            fit = max((room - size - head) // VALUE_BYTES, 0 if series else 1)
            taken = min(fit, count)
            if taken:
                series.append(name)
                counts.append(taken)
                count -= taken
                size += head + taken * VALUE_BYTES
            if count or is_last:
                end = begin + sum(counts) * VALUE_BYTES
                piece = chunk._replace(series=tuple(series), counts=counts, values=chunk.values[begin:end])
                pieces.append(piece if is_last and not count else piece._replace(step=None, steps=0))
                series, counts, begin, size = [], array("I"), end, 0
    return pieces


def _marked(pairs: Iterable[tuple[Name, int]], total: int) -> Iterable[tuple[Name, int, bool]]:
    return ((name, count, index == total - 1) for index, (name, count) in enumerate(pairs))


def _name_bytes(name: Name) -> int:
    # Most keys are ASCII, whose length is their size.
    key = name[0]
    return (len(key) if key.isascii() else len(key.encode())) + _PAIR_BYTES
