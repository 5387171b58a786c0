"""A frozen sequence of doubles that costs eight bytes a value."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload


class Values(Sequence[float]):
    """The retained values of a series: reads like a tuple of floats, and is as frozen.

    `numpy.asarray(values)` gives a read-only array of float64 over the same memory.
    """

    __slots__ = ("_view",)

    def __init__(self, values: bytes | Iterable[float] = ()) -> None:
        """Take float64 values, or the bytes of such in the machine's order, which are not copied."""
        data = values if isinstance(values, bytes) else array("d", values).tobytes()
        self._view = memoryview(data).cast("d")

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...
    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        if isinstance(index, slice):
            return tuple(self._view[index])
        return self._view[index]

    def __len__(self) -> int:
        return len(self._view)

    def __iter__(self) -> Iterator[float]:
        return iter(self._view)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Values):
            return self._view == other._view
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:6]))
        return f"Values(({shown}{', ...' if len(self) > 6 else ''})) of {len(self)}"

    def __reduce__(self) -> tuple[type[Values], tuple[bytes]]:
        return Values, (self.tobytes(),)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """What numpy asks for; so it is not imported here."""
        order = "<" if sys.byteorder == "little" else ">"
        return {"version": 3, "typestr": f"{order}f8", "shape": (len(self),), "data": self._view.obj}

    def tobytes(self) -> bytes:
        """Return the values as float64 in the machine's byte order."""
        return self._view.tobytes()
