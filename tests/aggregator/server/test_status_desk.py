"""StatusDesk: answers come from its own thread, for all who asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stats_aggregator.server.status_desk import _MAX_WAITING, StatusDesk
from stats_aggregator_client.wire import StatusReply, decode

WAIT_S = 30.0


class Slow:
    """A store that takes until it is let go."""

    def __init__(self) -> None:
        self.go, self.looked = threading.Event(), 0

    def __call__(self) -> dict[str, Any]:
        assert self.go.wait(WAIT_S)
        self.looked += 1
        return {"writers": self.looked}


@contextmanager
def desk_of(slow: Slow) -> Iterator[tuple[StatusDesk, threading.Semaphore]]:
    answered = threading.Semaphore(0)
    desk = StatusDesk(slow, answered.release)
    desk.start()
    try:
        yield desk, answered
    finally:
        slow.go.set()
        desk.close()
        desk.close()


def test_a_slow_store_holds_up_nobody_who_asks() -> None:
    slow = Slow()
    with desk_of(slow) as (desk, answered):
        desk.ask([b"a", b"b"], {"state": "running"})
        assert not desk.answers
        slow.go.set()
        assert answered.acquire(timeout=WAIT_S)
        found = [(peer, decode(frame)) for peer, frame in desk.answers]
    assert found == [(peer, StatusReply({"state": "running", "writers": 1})) for peer in (b"a", b"b")]


def test_those_who_ask_in_the_meantime_are_answered_by_one_look() -> None:
    slow = Slow()
    with desk_of(slow) as (desk, answered):
        for number in range(5):
            desk.ask([b"%d" % number], {})
        slow.go.set()
        while len(desk.answers) < 5:
            assert answered.acquire(timeout=WAIT_S)
    assert slow.looked <= 2


def test_a_flood_of_questions_is_bounded() -> None:
    slow = Slow()
    with desk_of(slow) as (desk, answered):
        for _ in range(10 * _MAX_WAITING):
            desk.ask([b"a"], {})
        slow.go.set()
        assert answered.acquire(timeout=WAIT_S)
        assert 0 < len(desk.answers) <= 2 * _MAX_WAITING
