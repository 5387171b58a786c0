"""Values: reads like a tuple of floats, and is as frozen."""

import pickle
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_api import Values

columns = st.lists(st.floats(allow_nan=False), max_size=20)
anywhere = st.integers(-25, 25)


@given(columns, anywhere, anywhere, anywhere.filter(bool))
def test_it_answers_like_the_tuple_of_the_same_floats(column, start, stop, step):
    values, same = Values(column), tuple(column)
    assert len(values) == len(same)
    assert tuple(values) == same
    assert values == same
    assert hash(values) == hash(same)
    assert values[start:stop:step] == same[start:stop:step]
    assert [*reversed(values)] == [*reversed(same)]
    if same:
        assert values[-1] == same[-1]
        assert same[0] in values
        assert values.count(same[0]) == same.count(same[0])
        assert values.index(same[-1]) == same.index(same[-1])
    with pytest.raises(IndexError):
        values[len(same)]


def test_it_differs_from_other_values_and_from_what_is_no_tuple():
    assert Values([1.0]) == Values([1.0])
    assert Values([1.0]) != Values([2.0])
    assert Values([1.0]) != [1.0]


def test_it_cannot_be_changed():
    values = Values([1.0, 2.0])
    with pytest.raises(TypeError):
        values[0] = 3.0
    with pytest.raises(TypeError):
        memoryview(values._view)[0] = 3.0
    assert values == (1.0, 2.0)


def test_a_pickled_copy_is_equal():
    values = Values([1.0, -0.5])
    assert pickle.loads(pickle.dumps(values)) == values


def test_it_takes_bytes_of_float64_without_a_copy_and_gives_them_back():
    data = array("d", [1.0, 2.0, 3.0]).tobytes()
    values = Values(data)
    assert values == (1.0, 2.0, 3.0)
    assert values.tobytes() == data
    assert values._view.obj is data


def test_its_text_shows_a_few_values_and_the_length():
    assert repr(Values(range(9))) == "Values((0.0, 1.0, 2.0, 3.0, 4.0, 5.0, ...)) of 9"


def test_numpy_reads_the_same_memory_and_may_not_write_to_it():
    numpy = pytest.importorskip("numpy")
    values = Values([1.0, 2.0])
    seen = numpy.asarray(values)
    assert seen.tolist() == [1.0, 2.0]
    assert not seen.flags.writeable
    assert numpy.shares_memory(seen, numpy.asarray(values))
    assert numpy.array(values, dtype="f4").dtype == numpy.float32
    assert numpy.asarray(Values()).shape == (0,)
    copy = numpy.array(values)
    copy[0] = 9.0
    assert values == (1.0, 2.0)
