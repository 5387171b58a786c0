"""The clock follows the daemon's time within a round trip; windows are multiples of their lengths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats_aggregator_client.clock import Clock
from stats_aggregator_client.windows import last_boundary, next_boundary

delays = st.tuples(st.integers(0, 10**8), st.integers(0, 10**8))
lengths = st.lists(st.integers(1, 10**12), min_size=1, max_size=3)


def test_before_the_first_answer_it_is_the_wall_clock() -> None:
    clock = Clock(monotonic_ns=lambda: 1000, wall_ns=lambda: 5_000_000)
    assert clock.daemon_ns(1000) == 5_000_000


@given(st.integers(-(10**18), 10**18), st.lists(delays, min_size=1, max_size=20))
def test_the_error_is_never_above_the_latest_round_trip(ahead: int, trips: list[tuple[int, int]]) -> None:
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 0)
    now = 0
    for there, back in trips:
        sent, now = now, now + there + back
        clock.observe(sent, now, sent + there + ahead)
        assert abs(clock.daemon_ns(now) - (now + ahead)) <= there + back


def test_it_follows_a_clock_that_drifts() -> None:
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 0)
    for second in range(100_000):
        now = second * 10**9
        daemon = now + second * 100_000  # 100 ppm fast
        clock.observe(now - 10**6, now + 10**6, daemon)
    assert abs(clock.daemon_ns(now) - daemon) <= 2 * 10**6


def test_a_message_that_answers_nothing_bounds_from_below_alone() -> None:
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 100)
    clock.observe(None, 50, 40)
    assert clock.daemon_ns(0) == 100
    clock.observe(None, 50, 250)
    assert clock.daemon_ns(0) == 200
    assert clock.monotonic_ns(200) == 0


@given(st.integers(0, 10**18), lengths)
def test_a_time_lies_in_the_window_between_its_boundaries(time_ns: int, windows: list[int]) -> None:
    last, following = last_boundary(time_ns, windows), next_boundary(time_ns, windows)
    assert following is not None
    assert last <= time_ns < following
    assert all(any(bound % length == 0 for length in windows) for bound in (last, following))
    for length in windows:
        assert last // length == time_ns // length == (following - 1) // length


@pytest.mark.parametrize("time_ns", [0, 5, 10**18])
def test_without_windows_there_is_no_boundary(time_ns: int) -> None:
    assert (last_boundary(time_ns, ()), next_boundary(time_ns, ())) == (0, None)


@given(st.integers(-(10**18), 10**18), st.lists(st.tuples(delays, st.integers(0, 10**9)), max_size=20))
def test_a_time_that_was_read_before_the_frame_came_pulls_back_no_further_than_the_times_seen(
    ahead: int, trips: list[tuple[tuple[int, int], int]]
) -> None:
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 0)
    clock.observe(0, 2000, 1000 + ahead, begins=True)
    now = 2000
    for (there, back), stale in trips:
        sent, now = now, now + there + back
        clock.observe(sent, now, sent + there - stale + ahead)  # an old daemon's
        assert -1000 - now // 2000 - 1 <= clock.offset_ns - ahead <= 1000


def test_a_welcome_may_set_the_clock_back() -> None:
    clock = Clock(monotonic_ns=lambda: 0, wall_ns=lambda: 0)
    clock.observe(0, 10, 1005, begins=True)
    clock.observe(20, 30, 525)
    assert clock.offset_ns == 995
    clock.observe(40, 50, 545, begins=True)
    assert clock.offset_ns == 505
    clock.forget()
    assert (clock.offset_ns, clock.is_told) == (505, False)
    clock.observe(60, 70, 2065, begins=True)
    assert (clock.offset_ns, clock.is_told) == (2000, True)
