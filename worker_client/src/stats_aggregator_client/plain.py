"""Facts of any type become plain JSON types here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

import msgpack

MAX_PROPERTY_BYTES = 900_000
"""The longest property, encoded: it must fit one message with its head."""
_MAX_DEPTH = 32
_MAX_ITEMS = 200_000
_LEAST_INT, _GREATEST_INT = -(1 << 63), (1 << 64) - 1


class _Plainer:
    """Walks one value; counts what it meets, so that a value which contains itself comes to an end."""

    def __init__(self) -> None:
        self._items_left = _MAX_ITEMS

    def plain(self, value: Any, depth: int = 0) -> Any:
        self._items_left -= 1
        if depth > _MAX_DEPTH or self._items_left < 0:
            return "..."
        if value is None or isinstance(value, (bool, float)):
            return value if value is None or isinstance(value, bool) else float(value)
        if isinstance(value, Enum):
            return self.plain(value.value, depth + 1)
        if isinstance(value, int):
            return int(value) if _LEAST_INT <= value <= _GREATEST_INT else str(value)
        if isinstance(value, str):
            return value.encode("utf-8", "backslashreplace").decode()
        return self._compound(value, depth + 1)

    def _compound(self, value: Any, depth: int) -> Any:
        if hasattr(type(value), "__dataclass_fields__"):
            from dataclasses import fields  # who has one has imported it; it is heavy for those who have none

            value = {field.name: getattr(value, field.name) for field in fields(value)}
        elif _is_namespace(value):
            value = vars(value)
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            value = dict(zip(value._fields, value, strict=True))
        if isinstance(value, Mapping):
            return {self.plain(str(key)): self.plain(item, depth) for key, item in value.items()}
        if isinstance(value, (list, tuple, Set)):
            return [self.plain(item, depth) for item in value]
        if hasattr(value, "tolist"):  # arrays, tensors and scalars of numpy and its kin
            return self.plain(value.tolist(), depth)
        return self.plain(str(value), depth)


def to_plain(value: Any) -> tuple[Any, int] | None:
    """Return `value` in plain JSON types with its encoded size, or None where it is too large.

    Data classes, named tuples and namespaces become mappings; what is of no plain type becomes its `str`.
    """
    try:
        plain = _Plainer().plain(value)
        size = len(msgpack.packb(plain))
    except Exception:  # noqa: BLE001 - a foreign object's str or items may raise anything
        return None
    return (plain, size) if size <= MAX_PROPERTY_BYTES else None


def is_same(left: Any, right: Any) -> bool:
    """Return whether two plain values travel as the same bytes; 1, 1.0 and True do not."""
    same: bool = msgpack.packb(left) == msgpack.packb(right)
    return same


def _is_namespace(value: Any) -> bool:
    # Who has one has imported argparse; it is not imported for those who have none.
    argparse = sys.modules.get("argparse")
    return argparse is not None and isinstance(value, argparse.Namespace)
