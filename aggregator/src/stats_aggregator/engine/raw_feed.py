"""RawFeed: what the engine asks of whoever shows raw values to writers."""

from __future__ import annotations

from typing import Protocol


class RawFeed(Protocol):
    """Where raw values go that a writer wants to see one by one; it never blocks."""

    @property
    def wanted(self) -> bool:
        """Whether any writer wants to see raw values."""

    def batch(self, run: str, category: str, ordinal: int, frame: bytes) -> None:
        """Show a batch."""

    def closed(self, run: str, category: str, ordinal: int) -> None:
        """Say that a period's last batch was shown."""
