"""Intake: each message that came, to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from stats_aggregator_client.wire import (
    INT64_MAX,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Message,
    Partial,
    Property,
    RejectCode,
    Rewind,
    Status,
    WireError,
    Write,
    decode,
)

from ..pooling.contents import num_values
from .group import Group
from .keeper import PeriodKeeper
from .reception import Reception

_VALUES = (Batch, Partial)
_SEQUENCED = (Property, Write, Rewind)
_LIFE = (Heartbeat, Bye)
_NAMES = {record: record.__name__.lower() for record in get_args(Message)}


class Intake:
    """Takes the messages of a group one by one; `report` hears who asks for STATUS."""

    def __init__(self, reception: Reception, keeper: PeriodKeeper, report: Callable[[bytes], None]) -> None:
        self._reception, self._keeper, self._report = reception, keeper, report

    def take(self, group: Group, peer: bytes, frame: bytes) -> None:
        """Take a frame into the group; what is none of ours is refused."""
        reception = self._reception
        try:
            message = decode(frame)
        except WireError as error:
            reception.refuse_frame(group, peer, error)
            return
        reception.received[_NAMES[type(message)]] += 1
        if isinstance(message, _VALUES):  # the most frequent by far
            self._values(group, peer, frame, message)
        elif isinstance(message, Hello):
            reception.hello(group, peer, message)
        elif isinstance(message, _LIFE):
            reception.life(group, peer, message, frame)
        elif isinstance(message, _SEQUENCED):
            self._sequenced(group, peer, frame, message)
        elif isinstance(message, Status):
            self._report(peer)
        else:
            text = f"{type(message).__name__} is no message for a daemon"
            reception.refuse_frame(group, peer, WireError(RejectCode.KIND, text))

    def _values(self, group: Group, peer: bytes, frame: bytes, message: Batch | Partial) -> None:
        session = self._reception.admit(group, peer, message)
        if session is not None:
            num = num_values(message)
            session.batches += 1
            session.values = min(session.values + num, INT64_MAX)
            self._keeper.values(group, session, message, num, frame)

    def _sequenced(self, group: Group, peer: bytes, frame: bytes, message: Property | Write | Rewind) -> None:
        session = self._reception.admit(group, peer, message)
        if session is None:
            return
        if isinstance(message, Write):
            self._keeper.write(group, session, message, frame)
        elif isinstance(message, Rewind):
            self._keeper.rewind(group, session, message, frame)
        else:
            group.add_property(session.run, message, frame)
