"""Shipment: what one message carries of a lane, no longer than there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .chunk import Chunk, frame_bytes, join, split
from .fold import fold_bytes, split_fold
from .folding import coarsen, finished, fold_chunk
from .lane import Item, Lane, Note

BATCH_BYTES = 256 << 10
"""The longest batch we make, credit permitting: past it messages only get slower to store."""


class Shipment(NamedTuple):
    """An item off the head of a lane, and how much less the lane takes of memory without it."""

    item: Item
    freed_bytes: int


class Room(NamedTuple):
    """How long a message should be where it can be cut, and how long it may be where it cannot."""

    wanted_bytes: int
    most_bytes: int


def load(
    lane: Lane, room: Room, longest_part_bytes: int, alike: Callable[[Chunk, Chunk], bool]
) -> Shipment | None:
    """Take off `lane`, which is not empty, what the next message carries; None where it does not fit.

    A series of a fold that is longer than `longest_part_bytes` alone loses bits of mantissa until it is not.
    """
    head = lane.head
    wanted_bytes = room.wanted_bytes - lane.name_bytes
    if isinstance(head, Note):
        return Shipment(lane.pop(), head.cost_bytes) if head.cost_bytes <= room.most_bytes else None
    if isinstance(head, Chunk) and not head.late:
        return _load_chunk(lane, wanted_bytes, alike)
    fold = finished(fold_chunk(head)) if isinstance(head, Chunk) else head
    first, rest = split_fold(fold, wanted_bytes)
    while fold_bytes(first) > longest_part_bytes - lane.name_bytes and first.mantissa_bits:
        first = finished(coarsen(first, first.mantissa_bits - 1))
    if fold_bytes(first) > room.most_bytes - lane.name_bytes:
        return None
    lane.pop()
    if rest is not None:
        lane.push(rest)
    return Shipment(first, head.cost_bytes - (rest.cost_bytes if rest else 0))


def _load_chunk(lane: Lane, wanted_bytes: int, alike: Callable[[Chunk, Chunk], bool]) -> Shipment:
    run: list[Chunk] = []
    size = 0
    while lane:
        item = lane.head
        if not isinstance(item, Chunk) or (run and not alike(run[-1], item)):
            break
        size += frame_bytes(item)
        if run and size > wanted_bytes:
            break
        run.append(item)
        lane.pop()
    joined = join(run)
    # Where a key has two aggregations they go apart: no batch holds a key twice.
    first, *rest = split(joined, wanted_bytes) if joined else [*split(run[0], wanted_bytes), *run[1:]]
    for chunk in reversed(rest):
        lane.push(chunk)
    return Shipment(first, sum(chunk.cost_bytes for chunk in run) - sum(chunk.cost_bytes for chunk in rest))
