"""What the daemon's socket hands over: whole groups, and small ones not too often."""

from __future__ import annotations

import time

import pytest
import zmq

from stats_aggregator.server.ingress import Ingress

WAIT_MS = 20_000


@pytest.fixture
def ingress():
    ingress = Ingress("tcp://127.0.0.1:0")
    yield ingress
    ingress.close()


@pytest.fixture
def dealer(ingress):
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(ingress.address)
        yield dealer


def received(ingress: Ingress, num: int) -> list[bytes]:
    """Return the frames of so many messages, in as many groups as it takes."""
    frames: list[bytes] = []
    deadline_s = time.monotonic() + WAIT_MS / 1e3
    while len(frames) < num:
        assert time.monotonic() < deadline_s, f"{len(frames)} of {num} messages came"
        ingress.wait(WAIT_MS)
        frames += [frame for _, frame in ingress.receive()]
    return frames


def test_messages_of_one_frame_come_in_order_and_others_are_counted(ingress, dealer):
    for number in range(700):
        if number % 100 == 7:
            dealer.send_multipart([b"two", b"frames"])
        dealer.send(b"%d" % number)
    assert received(ingress, 700) == [b"%d" % number for number in range(700)]
    assert ingress.dropped == 7


def test_a_small_group_begins_no_sooner_than_25_ms_after_another(ingress, dealer):
    dealer.send(b"first")
    ingress.wait(WAIT_MS)
    began_ns = time.monotonic_ns()
    assert [frame for _, frame in ingress.receive()] == [b"first"]
    dealer.send(b"second")
    ingress.wait(WAIT_MS)
    assert time.monotonic_ns() - began_ns >= 25_000_000
    assert [frame for _, frame in ingress.receive()] == [b"second"]


def test_behind_a_flood_of_what_is_no_message_the_next_one_comes(ingress, dealer):
    for _ in range(1000):
        dealer.send_multipart([b"two", b"frames"])
    dealer.send(b"a message")
    assert received(ingress, 1) == [b"a message"]
    assert ingress.dropped == 1000
