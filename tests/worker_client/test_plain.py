"""Properties become plain JSON types, whatever they are made of."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import OrderedDict, namedtuple
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import pytest

from stats_aggregator_client.plain import MAX_PROPERTY_BYTES, to_plain

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Settings:
    rate: float
    inner: Any = None


class Kind(Enum):
    A = "a"


class Hostile:
    def __str__(self) -> str:
        raise KeyError("no")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (-(1 << 70), str(-(1 << 70))),
        (0.5, 0.5),
        ("text", "text"),
        ("half \ud800", "half \\ud800"),
        (Kind.A, "a"),
        (
            Settings(0.1, Settings(0.2, (1, {"a"}))),
            {"rate": 0.1, "inner": {"rate": 0.2, "inner": [1, ["a"]]}},
        ),
        (Point(1, 2), {"x": 1, "y": 2}),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (OrderedDict([(1, "one"), (None, 2)]), {"1": "one", "None": 2}),
        (PurePosixPath("a/b"), "a/b"),
        (b"bytes", "b'bytes'"),
        (Settings, str(Settings)),
    ],
)
def test_values_of_many_types(value: Any, plain: Any) -> None:
    found = to_plain(value)
    assert found is not None
    assert found[0] == plain
    json.dumps(found[0])


def test_arrays_become_lists() -> None:
    numpy = pytest.importorskip("numpy")
    found = to_plain({"a": numpy.arange(3), "b": numpy.float32(0.5)})
    assert found is not None
    assert found[0] == {"a": [0, 1, 2], "b": 0.5}


def test_what_contains_itself_comes_to_an_end() -> None:
    loop: list[Any] = []
    loop.extend([loop, loop])
    found = to_plain(loop)
    assert found is None or found[1] <= MAX_PROPERTY_BYTES


def test_what_is_too_large_or_cannot_be_read_is_none() -> None:
    assert to_plain("x" * (MAX_PROPERTY_BYTES + 1)) is None
    assert to_plain(Hostile()) is None
