"""What the fields of a message may be: their types, and what is out of range once the types are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

from .messages import (
    ID_BYTES,
    INT64_MAX,
    RECORDS,
    Ack,
    Batch,
    Closing,
    Hello,
    Kind,
    Nack,
    Partial,
    PartialSeries,
    Property,
    Reject,
    Rewind,
    Status,
    StatusReply,
    Welcome,
    Write,
)

# What the fields of a record may be, by their annotation, as the unpacker gives them: others are sequences.
_TYPES: dict[Any, tuple[type, ...]] = {
    bytes: (bytes,), bytes | None: (bytes, type(None)), str: (str,), str | None: (str, type(None)),
    int: (int,), int | None: (int, type(None)), float: (float,), Mapping[str, Any]: (dict,),
    Any: (type(None), bool, int, float, str, tuple, dict),
}  # fmt: skip


def _shapes(record: type[Any]) -> frozenset[tuple[type, ...]]:
    # One look-up in this set checks the types of all fields at once.
    return frozenset(product(*(_TYPES.get(hint, (tuple,)) for hint in record.__annotations__.values())))


_PARTIAL_SHAPES = _shapes(PartialSeries)

# What is out of range in a message whose types are right, by kind; None where nothing is. Integers must fit
# the signed columns of journal and store: their union has bit 63 and above clear only if all of them have,
# and is negative if one is.


def _batch_fault(batch: Batch) -> str | None:
    session, seq, _, closing, step, steps, t_first, t_last, _, counts, values, lost, uncertain = batch
    if (
        seq > 0
        and not (seq | steps | t_last | t_first | lost | uncertain | (step or 0)) >> 63
        and 0 <= closing <= 1
        and t_first <= t_last
        and not (len(counts) & 3 or len(values) & 7)
        and len(session) == ID_BYTES
    ):
        return None  # the daemon's hot path is one expression; what follows only says which part of it failed
    if len(counts) & 3 or len(values) & 7:
        return "counts are not whole uint32 or values are not whole float64"
    return _head_fault(session, seq) or _span_fault(closing, t_first, t_last) or _OUT_OF_RANGE


def _partial_fault(partial: Partial) -> str | None:
    integers = (partial.steps, partial.t_first, partial.t_last, partial.late, partial.lost, partial.uncertain)
    if any(number >> 63 for number in (*integers, partial.mantissa_bits, partial.step or 0)):
        return _OUT_OF_RANGE
    size = len(PartialSeries._fields)
    if any(
        type(part) is not tuple or tuple(map(type, part[:size])) not in _PARTIAL_SHAPES
        for part in partial.parts
    ):
        return "a part's fields have other types"
    if not all(type(worker) is str for worker in partial.workers):
        return "workers are not strings"
    return _head_fault(partial.session, partial.seq) or _span_fault(
        partial.closing, partial.t_first, partial.t_last
    )


def _hello_fault(hello: Hello) -> str | None:
    if len(hello.process) != ID_BYTES or len(hello.server or hello.process) != ID_BYTES:
        return f"an id has not {ID_BYTES} bytes"
    if not _is_plain(hello.info):
        return "info is not made of plain JSON types"
    return "first_unacked is not from 1" if hello.first_unacked < 1 else _id_fault(hello)


def _property_fault(fact: Property) -> str | None:
    if not _is_plain(fact.value):
        return "value is not made of plain JSON types"
    return _head_fault(fact.session, fact.seq)


def _step_fault(message: Write | Rewind) -> str | None:
    return _OUT_OF_RANGE if message.step >> 63 else _head_fault(message.session, message.seq)


def _told_fault(message: Welcome | Ack) -> str | None:
    if (message.durable_seq | message.credit | message.time) >> 63:
        return _OUT_OF_RANGE
    if not all(type(length) is int and 0 < length <= INT64_MAX for length in message.windows):
        return "windows are not lengths in nanoseconds"
    if not all(type(width) is int and 0 < width <= INT64_MAX for width in message.widths):
        return "widths are not numbers of steps"
    if not all(type(notice) is str for notice in message.notices):
        return "notices are not strings"
    if type(message) is Welcome and len(message.server) != ID_BYTES:
        return f"server has not {ID_BYTES} bytes"
    return _id_fault(message)


def _numbers_fault(message: Nack | Reject) -> str | None:
    numbers = (field for field in message if type(field) is int)
    return _OUT_OF_RANGE if any(number >> 63 for number in numbers) else _id_fault(message)


def _no_fault(message: Status | StatusReply) -> str | None:
    return None


def _id_fault(message: Any) -> str | None:
    size = len(message.session)
    return None if size == ID_BYTES else f"session has {size} bytes, not {ID_BYTES}"


def _head_fault(session: bytes, seq: int) -> str | None:
    if len(session) != ID_BYTES:
        return f"session has {len(session)} bytes, not {ID_BYTES}"
    return None if 0 < seq <= INT64_MAX else f"seq is {seq}; the first is 1"


def _span_fault(closing: int, t_first: int, t_last: int) -> str | None:
    if closing != Closing.TIME and closing != Closing.WRITE:
        return f"closing is {closing}, neither 0 (time) nor 1 (write)"
    return "t_first is after t_last" if t_first > t_last else None


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if type(value) is tuple:
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


_OUT_OF_RANGE = "a number is not from 0 to 2**63 - 1"
_FAULTS: dict[int, Callable[[Any], str | None]] = {
    Kind.HELLO: _hello_fault, Kind.BATCH: _batch_fault, Kind.PARTIAL: _partial_fault,
    Kind.PROPERTY: _property_fault, Kind.WRITE: _step_fault, Kind.REWIND: _step_fault,
    Kind.HEARTBEAT: _id_fault, Kind.BYE: _id_fault, Kind.STATUS: _no_fault, Kind.WELCOME: _told_fault,
    Kind.ACK: _told_fault, Kind.NACK: _numbers_fault, Kind.REJECT: _numbers_fault,
    Kind.STATUS_REPLY: _no_fault,
}  # fmt: skip


class Form(NamedTuple):
    """All that decoding needs of a kind: its record, where its fields end, their types, their ranges.

    `defaults` are the last fields where a frame ends before them.
    """

    record: type[Any]
    end: int
    defaults: tuple[Any, ...]
    shapes: frozenset[tuple[type, ...]]
    fault_of: Callable[[Any], str | None]


FORMS = {
    int(kind): Form(
        record,
        2 + len(record._fields),
        tuple(record._field_defaults.values()),
        _shapes(record),
        _FAULTS[kind],
    )
    for kind, record in RECORDS.items()
}
