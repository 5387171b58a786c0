"""Remembered: what was worked out for bytes that come again and again, in bounded memory."""

from __future__ import annotations

from typing import Generic, TypeVar

LIMIT_BYTES = 8 << 20

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Values by bytes; past `limit_bytes` of those the oldest entries go, and come back at the cost of work.

    Bounded by bytes, not by entries: a peer may send a field of a megabyte a thousand times over.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._values: dict[bytes, Value] = {}
        self.get = self._values.get

    def __len__(self) -> int:
        return len(self._values)

    def put(self, packed: bytes, value: Value) -> Value:
        """Remember and return `value`, which `packed` has none of yet."""
        self._values[packed] = value
        self._size_bytes += len(packed)
        while self._size_bytes > self._limit_bytes and len(self._values) > 1:
            oldest = next(iter(self._values))
            del self._values[oldest]
            self._size_bytes -= len(oldest)
        return value
