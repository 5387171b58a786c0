"""What is a number becomes a float at the call, and what is none is told apart."""

from __future__ import annotations

import math
import struct
from array import array
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_client.floats import to_column, to_float
from stats_aggregator_client.numeric import LEAST_VALUES


class Tensor:
    """As torch's: no buffer, but `item`, `__array__` and `tolist`."""

    def __init__(self, values: list[Any], *, exports: bool = True) -> None:
        self._values = values
        self._exports = exports

    def item(self) -> Any:
        if len(self._values) != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._values[0]

    def __array__(self) -> Any:
        if not self._exports:
            raise RuntimeError("can't call numpy() on a tensor that requires grad")
        return array("d", self._values)

    def tolist(self) -> list[Any]:
        return self._values


class Hostile:
    def __float__(self) -> float:
        raise KeyError("no")

    def __iter__(self) -> Any:
        raise OSError("no")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5), (3, 3.0), (True, 1.0), (Decimal("0.25"), 0.25), (Fraction(1, 4), 0.25),
        (Tensor([2.5]), 2.5), (math.inf, math.inf), (-0.0, -0.0),
    ],
)  # fmt: skip
def test_numbers_become_floats(value: Any, number: float) -> None:
    found = to_float(value)
    assert found == number
    assert type(found) is float


@pytest.mark.parametrize(
    "value",
    ["1", b"1", bytearray(b"1"), None, 1j, [1.0], (), {}, object(), 10**400, Tensor([1.0, 2.0]),
     Tensor(["1"]), Hostile(), float],
)  # fmt: skip
def test_what_is_no_number_is_none(value: Any) -> None:
    assert to_float(value) is None


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_buffers_of_any_number_type_are_taken(code: str) -> None:
    assert to_column(array(code, [1, 2, 3])) == (array("d", [1.0, 2.0, 3.0]), 0)


@pytest.mark.parametrize("times", [1, LEAST_VALUES])
@pytest.mark.parametrize("order", "<>=")
@pytest.mark.parametrize("code", "efdhiqQ?")
def test_buffers_of_any_byte_order_are_taken(order: str, code: str, times: int) -> None:
    numpy = pytest.importorskip("numpy")
    kind = {"e": "f2", "f": "f4", "d": "f8", "h": "i2", "i": "i4", "q": "i8", "Q": "u8", "?": "?"}[code]
    values = numpy.array([1, 0, 1] * times, dtype=(kind if kind == "?" else order + kind))
    assert to_column(values) == (array("d", [1.0, 0.0, 1.0] * times), 0)


@pytest.mark.parametrize("kind", ["f4", "i8", "u8"])
def test_numbers_become_the_same_floats_in_few_and_in_many(kind: str) -> None:
    numpy = pytest.importorskip("numpy")
    bits = numpy.random.default_rng(1).integers(0, 1 << 64, 4 * LEAST_VALUES, dtype="u8")
    values = bits.view(kind)
    values = values[numpy.isfinite(values)]
    assert list(to_column(values)[0]) == [float(value) for value in values.tolist()]


def test_arrays_of_any_shape_and_stride_are_flattened_in_c_order() -> None:
    numpy = pytest.importorskip("numpy")
    whole = numpy.arange(24.0).reshape(2, 3, 4)
    large = numpy.arange(6.0 * LEAST_VALUES).reshape(2, 3, -1).astype("f4")
    for view in (
        large,
        large.T,
        large[:, ::-2],
        whole,
        whole.T,
        whole[:, ::2],
        whole[::-1],
        numpy.asfortranarray(whole),
        whole.astype("f4").T,
    ):
        assert to_column(view) == (array("d", view.ravel().tolist()), 0)
    assert to_column(numpy.zeros((0, 3))) == (array("d"), 0)
    assert to_column(numpy.array(5.0)) == (array("d", [5.0]), 0)
    assert to_column(numpy.array([1.0, "2"], dtype=object)) == (array("d", [1.0]), 1)
    assert to_column(numpy.array(["1", "2"])) == (array("d"), 2)
    assert to_column(numpy.array([1.0, 2.0], dtype=numpy.longdouble)) == (array("d", [1.0, 2.0]), 0)


def test_arrays_and_scalars_of_one_element_are_numbers_without_a_warning() -> None:
    numpy = pytest.importorskip("numpy")
    for value in (numpy.array([2.5]), numpy.array([[2.5]]), numpy.array(2.5), numpy.float32(2.5)):
        assert to_float(value) == 2.5
    assert to_float(numpy.int64(7)) == 7.0
    assert to_float(numpy.str_("7")) is None
    assert to_float(numpy.array([1.0, 2.0])) is None


def test_a_copy_is_taken() -> None:
    values = array("d", [1.0, 2.0])
    found, _ = to_column(values)
    values[0] = 9.0
    assert found == array("d", [1.0, 2.0])


@pytest.mark.parametrize(
    ("values", "column", "faults"),
    [
        ([1, 2.0, True], [1.0, 2.0, 1.0], 0),
        ((), [], 0),
        (range(3), [0.0, 1.0, 2.0], 0),
        ((value for value in (1.0, None, 3.0)), [1.0, 3.0], 1),
        ([1.0, "2", None, 3], [1.0, 3.0], 2),
        ([[1, 2], [3, [4]]], [1.0, 2.0, 3.0, 4.0], 0),
        (5, [5.0], 0),
        ("123", [], 1),
        (None, [], 1),
        (Tensor([1.0, 2.0]), [1.0, 2.0], 0),
        (Tensor([[1.0], [2.0]], exports=False), [1.0, 2.0], 0),
        (Hostile(), [], 1),
        ({1: "a", 2: "b"}, [1.0, 2.0], 0),
        (memoryview(b""), [], 0),
        (memoryview(struct.pack("2f", 1.0, 2.0)).cast("f"), [1.0, 2.0], 0),
    ],
)
def test_columns_of_anything(values: Any, column: list[float], faults: int) -> None:
    assert to_column(values) == (array("d", column), faults)


@given(st.lists(st.floats() | st.integers(-(1 << 60), 1 << 60)))
def test_lists_keep_every_bit_and_the_order(values: list[float]) -> None:
    column, faults = to_column(values)
    assert column.tobytes() == struct.pack(f"{len(values)}d", *values)
    assert faults == 0
