"""Numbers of any library become float64 here, at the call."""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .numeric import numpy_for

_TEXT = (str, bytes, bytearray)
_MANY = 40
_FORMAT = re.compile(r"[@=<>!]?[bBhHiIlLqQnN?efd]")


def to_float(value: Any) -> float | None:
    """Return `value` as a float, or None where it is no number.

    Takes whatever has `__float__` or `__index__`, and arrays and tensors of one element; text is no number,
    whatever it spells.
    """
    try:
        if not isinstance(value, (float, int)):  # most are, as numpy's float64 is
            # An array of one element warns when float() is asked of it; item() is what it wants.
            item = getattr(value, "item", None)
            if callable(item):
                value = item()
            if isinstance(value, _TEXT):
                return None
        return float(value)
    except Exception:  # noqa: BLE001 - a foreign number may raise anything, and training must not see it
        return None


def to_column(values: Any) -> tuple[array[float], int]:
    """Return the numbers in `values` as one column, and how many items of it were no numbers.

    Takes anything with the buffer protocol (copied; of any shape, in C order), tensors, iterables of
    numbers, nested or not, and a single number.
    """
    if isinstance(values, (str, bytes, bytearray)):
        return array("d"), 1  # text, or a file's content: their bytes are no measurements
    # A list is no buffer, and finding that out costs more than reading it.
    for read in _LISTS_FIRST if isinstance(values, (list, tuple)) else _BUFFERS_FIRST:
        try:
            return read(values), 0
        except Exception:  # noqa: BLE001 - what one way cannot read the next one may
            continue
    return _one_by_one(values)


def packed(values: Sequence[float]) -> array[float]:
    """Return a list or tuple of numbers as a column, or raise where it holds anything else."""
    # The same either way; to pack many takes half the time, to prepare for it as long as 40 of them.
    return array("d", values if len(values) < _MANY else struct.pack(f"{len(values)}d", *values))


def _from_buffer(values: Any) -> array[float]:
    view = memoryview(values)
    column = array("d")
    if view.format == "d" and view.c_contiguous and view.nbytes:
        column.frombytes(view.cast("B"))
        return column
    if not _FORMAT.fullmatch(view.format):
        raise TypeError(f"items of format {view.format!r} are no numbers")
    if not view.nbytes:
        return column
    if (numpy := numpy_for(view.nbytes // view.itemsize)) is not None:
        column.frombytes(numpy.asarray(view, dtype=numpy.float64, order="C").data.cast("B"))
        return column
    code = view.format[-1]
    data = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
    if view.format[0] in "<>=!" or code in "en":
        order = view.format[0] if view.format[0] in "<>=!" else "@"
        column.extend(struct.unpack(f"{order}{data.nbytes // view.itemsize}{code}", data))
    else:
        column.extend(data.cast(code))  # type: ignore[call-overload] # the pattern lets only valid codes in
    return column


def _from_exporter(values: Any) -> array[float]:
    # Tensors have no buffer of their own but give an array that has one.
    return _from_buffer(values.__array__())


_LISTS_FIRST = (packed,)
_BUFFERS_FIRST = (_from_buffer, _from_exporter)


def _one_by_one(values: Any) -> tuple[array[float], int]:
    column, faults = array("d"), 0
    try:
        for value in _flat(values.tolist() if hasattr(values, "tolist") else values):
            number = to_float(value)
            if number is None:
                faults += 1
            else:
                column.append(number)
    except Exception:  # noqa: BLE001 - an iterator may raise anything; what it gave until then is kept
        faults += 1
    return column, faults


def _flat(values: Any, depth: int = 0) -> Iterator[Any]:
    single = not isinstance(values, Iterable) or isinstance(values, _TEXT) or getattr(values, "ndim", 1) == 0
    if single or depth > 32:
        yield values
        return
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value, depth + 1)
        else:
            yield value
