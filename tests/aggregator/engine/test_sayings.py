"""Sayings: no flood, and nothing left unsaid for ever."""

from __future__ import annotations

import logging

import pytest

from stats_aggregator.engine import sayings as sayings_module
from stats_aggregator.engine.sayings import Sayings

log = logging.getLogger("tests.sayings")


class Seconds:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def seconds():
    return Seconds()


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_limited_says_one_line_a_second_and_how_many_it_left_out(caplog, seconds):
    sayings = Sayings(log, seconds)
    for number in range(30):
        seconds.now_s = number / 10
        sayings.limited("bad %d%%", number)
    assert lines(caplog) == ["bad 0%", "bad 10% (and 9 like it)", "bad 20% (and 9 like it)"]


def test_what_a_peer_wrote_is_never_taken_for_a_format(caplog, seconds):
    Sayings(log, seconds).limited("refused: %s", "%s %d %")
    assert lines(caplog) == ["refused: %s %d %"]


def test_once_says_each_thing_once(caplog, seconds):
    sayings = Sayings(log, seconds)
    for _ in range(3):
        for what in "ab":
            sayings.once(what, "%s came", what)
    assert lines(caplog) == ["a came", "b came"]


def test_once_is_no_flood_and_says_the_rest_when_it_comes_up_again(caplog, seconds):
    sayings = Sayings(log, seconds)
    for second in range(3):
        seconds.now_s = float(second)
        for number in range(120):
            sayings.once(number, "%d", number)
    assert sorted(map(int, lines(caplog))) == list(range(120))


def test_what_is_remembered_is_bounded(caplog, seconds, monkeypatch):
    monkeypatch.setattr(sayings_module, "_MAX_REMEMBERED", 10)
    sayings = Sayings(log, seconds)
    for number in range(1000):
        seconds.now_s = float(number)
        sayings.once(number, "%d", number)
    assert len(sayings._said) <= 10
    assert len(lines(caplog)) == 1000
