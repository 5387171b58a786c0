"""Finished segments: those that are only kept until all that pins them is released."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import failpoints
from ..errors import JournalFailed


@dataclass(slots=True)
class _Finished:
    path: Path
    size_bytes: int
    pins: set[Hashable]


class FinishedSegments:
    """By number; iterating yields the numbers."""

    def __init__(self) -> None:
        self._segments: dict[int, _Finished] = {}

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[int]:
        return iter(self._segments)

    @property
    def size_bytes(self) -> int:
        """How many bytes all of them hold."""
        return sum(segment.size_bytes for segment in self._segments.values())

    @property
    def paths(self) -> set[Path]:
        """Their files."""
        return {segment.path for segment in self._segments.values()}

    def keep(self, number: int, path: Path, size_bytes: int, pins: Iterable[Hashable]) -> None:
        """Keep a segment until its `pins` are released."""
        self._segments[number] = _Finished(path, size_bytes, set(pins))

    def release(self, pins: Collection[Hashable]) -> None:
        """Let none of these pins keep any segment."""
        for segment in self._segments.values():
            segment.pins.difference_update(pins)

    def remove_unpinned(self) -> None:
        """Remove the files that nothing pins. Raises JournalFailed where one cannot be removed."""
        for number, segment in list(self._segments.items()):
            if segment.pins:
                continue
            try:
                failpoints.reach("segment.unlink.before")
                segment.path.unlink(missing_ok=True)
                failpoints.reach("segment.unlink.after")
            except OSError as error:
                raise JournalFailed(segment.path, error) from error
            del self._segments[number]
