"""Inquiry: what a daemon says of itself, asked over its own socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zmq

from stats_aggregator_client.wire import Status, StatusReply, WireError, decode, encode


def ask(address: str, timeout_s: float) -> Mapping[str, Any] | None:
    """Return the status of the daemon at `address`, or None where it does not answer in time.

    Raises zmq.ZMQError where that is no address.
    """
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.IPV6, "[" in address)
        dealer.connect(address)
        dealer.send(encode(Status()))
        if not dealer.poll(int(timeout_s * 1000)):
            return None
        try:
            reply = decode(dealer.recv())
        except WireError:
            return None  # something else listens there
        return reply.status if isinstance(reply, StatusReply) else None
