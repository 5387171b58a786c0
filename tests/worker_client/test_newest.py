"""The ring of the newest values, beside all values that came."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_client.newest import Newest

lengths = st.integers(0, 40)
steps = st.lists(st.tuples(lengths, st.integers(1, 25), st.booleans()), max_size=30)


@given(steps)
def test_the_newest_stay_whatever_came_and_however_the_limit_moved(
    taken: list[tuple[int, int, bool]],
) -> None:
    ring, all_values, due = Newest(), array("d"), 0
    for length, limit, trims in taken:
        values = array("d", range(len(all_values), len(all_values) + length * (not trims)))
        if trims:
            ring.trim(limit)
        else:
            ring.keep(values, limit)
        all_values.extend(values)
        due = min(due + len(values), limit)
        found = ring.in_order()
        assert due <= len(found) == len(ring) <= limit + limit // 4
        assert found == all_values[len(all_values) - len(found) :]


@given(st.lists(lengths, max_size=30), st.integers(1, 25))
def test_with_one_limit_all_of_it_is_used(taken: list[int], limit: int) -> None:
    ring, all_values = Newest(), array("d")
    for length in taken:
        values = array("d", range(len(all_values), len(all_values) + length))
        ring.keep(values, limit)
        all_values.extend(values)
        assert ring.in_order() == all_values[-limit:]


def test_cleared_it_begins_anew() -> None:
    ring = Newest()
    ring.keep(array("d", [1.0, 2.0, 3.0]), 2)
    ring.clear()
    assert len(ring) == 0
    ring.keep(array("d", [4.0, 5.0, 6.0]), 2)
    assert ring.in_order() == array("d", [5.0, 6.0])
