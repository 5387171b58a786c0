"""The wire, version 1: what workers and the daemon say to each other over ZeroMQ.

A message is ONE frame: a MessagePack array `[version, kind, field, ...]` of at most MAX_MESSAGE_BYTES.
Workers speak through a DEALER socket, the daemon through a ROUTER; there are no further frames.

- Integers are those of MessagePack; times are nanoseconds since the epoch in the daemon's time, int64.
- `session`, `process` and `server` are 16 random bytes.
- `series` is a bin: the MessagePack array of `[key, aggregation]`, keys unique. Workers that run the same
  code send the same bytes, so the daemon parses them once.
- `counts` is a bin of little-endian uint32, one a series, each at least 1; `values` a bin of little-endian
  float64: the values of the first series, then those of the second, and so on.
- Unknown fields at the end are ignored, so that fields can be added within a version; those that were added
  have a default, are left out where they are empty, and may be missing.
- The heads of HELLO (`[version, 1, session]`) and REJECT (`[version, 36, session, seq, code, text]`) are the
  same in every version, so that strangers can be told.

A frame that does not decode costs itself alone: it is dropped, counted by reason, and answered with REJECT
where the session can be read. PROTOCOL.md beside this package says what the messages mean.

Each record is a kind of message (messages.py); `encode` and `decode` are twins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from .checks import FORMS
from .messages import (
    ID_BYTES,
    INT64_MAX,
    MAX_MESSAGE_BYTES,
    RECORDS,
    VERSION,
    Ack,
    Batch,
    Bye,
    Closing,
    FromDaemon,
    FromWorker,
    Heartbeat,
    Hello,
    Kind,
    Message,
    Nack,
    Partial,
    PartialSeries,
    Property,
    Reject,
    RejectCode,
    Rewind,
    Status,
    StatusReply,
    Welcome,
    Write,
)

__all__ = [
    "encode",
    "decode",
    "encode_series",
    "decode_series",
    "WireError",
    "VERSION",
    "MAX_MESSAGE_BYTES",
    "ID_BYTES",
    "INT64_MAX",
    "Kind",
    "Closing",
    "RejectCode",
    "Hello",
    "Batch",
    "Partial",
    "PartialSeries",
    "Property",
    "Write",
    "Rewind",
    "Heartbeat",
    "Bye",
    "Status",
    "Welcome",
    "Ack",
    "Nack",
    "Reject",
    "StatusReply",
    "FromWorker",
    "FromDaemon",
    "Message",
]

_KINDS = {record: int(kind) for kind, record in RECORDS.items()}
_unpack = msgpack.unpackb
_LARGE_BYTES = 1 << 16
"""From here on MessagePack has a head of five bytes."""


class WireError(ValueError):
    """Raised when a frame is not a message of this version; `code` says why in one word.

    `session` and `seq` are what could still be read of it, so that the sender can be told.
    """

    def __init__(self, code: RejectCode, text: str, session: bytes | None = None, seq: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.session = session
        self.seq = seq


def encode(message: Message) -> bytes:
    """Return the frame of `message`."""
    if type(message) is Batch and len(message.values) >= _LARGE_BYTES:
        return _encode_large(message)
    record = type(message)
    fields: tuple[Any, ...] = message
    if record._field_defaults:
        least = len(fields) - len(record._field_defaults)
        while len(fields) > least and not fields[-1]:
            fields = fields[:-1]
    frame: bytes = msgpack.packb((VERSION, _KINDS[record], *fields))
    return frame


def _encode_large(batch: Batch) -> bytes:
    # The same bytes with one copy of the values, where the packer makes two, in memory that is new each time.
    *head, values, lost, uncertain = batch
    fields = msgpack.packb((VERSION, Kind.BATCH.value, *head))
    array_head = bytes([fields[0] + 3])  # three fields more, which it has room to say
    bin_head = b"\xc6" + len(values).to_bytes(4, "big")
    return b"".join((array_head, fields[1:], bin_head, values, msgpack.packb(lost), msgpack.packb(uncertain)))


def decode(frame: bytes) -> Message:
    """Return the message in `frame`, every field of its type and range, or raise WireError."""
    if len(frame) > MAX_MESSAGE_BYTES:
        raise WireError(
            RejectCode.TOO_LARGE, f"a message of {len(frame)} bytes; at most {MAX_MESSAGE_BYTES} are allowed"
        )
    try:
        # Arrays come as tuples: a record is frozen through and through.
        fields = _unpack(frame, use_list=False)
    except Exception as error:  # noqa: BLE001 - the unpacker raises many kinds, each is a malformed frame
        raise WireError(RejectCode.MALFORMED, f"not a MessagePack array: {error}") from None
    if type(fields) is not tuple or len(fields) < 2:
        raise WireError(RejectCode.MALFORMED, "not a MessagePack array of version, kind and fields")
    version, kind = fields[0], fields[1]
    if type(version) is not int or version != VERSION:
        raise _refused(fields, RejectCode.VERSION, f"version {_shown(version)}; this side speaks {VERSION}")
    form = FORMS.get(kind) if type(kind) is int else None
    if form is None:
        raise _refused(fields, RejectCode.KIND, f"kind {_shown(kind)} is unknown in version {VERSION}")
    record, end, defaults, shapes, fault_of = form
    values = fields[2:end]
    if defaults and len(fields) < end:
        values += defaults[len(fields) - end :]
    if tuple(map(type, values)) not in shapes:
        raise _refused(fields, RejectCode.MALFORMED, f"the fields of {Kind(kind).name} have other types")
    message: Any = tuple.__new__(record, values)
    try:
        fault = fault_of(message)
    except RecursionError:
        fault = "it is nested too deeply"
    if fault is not None:
        raise _refused(fields, RejectCode.MALFORMED, f"{Kind(kind).name}: {fault}")
    return message  # type: ignore[no-any-return] # the shape says that it is one


def _shown(value: object) -> str:
    # Not the repr of just anything: what is nested a thousand deep has none.
    return str(value) if type(value) is int else f"of type {type(value).__name__}"


def _refused(fields: tuple[Any, ...], code: RejectCode, text: str) -> WireError:
    # HELLO's head is the same in every version, and all kinds with a session have it there.
    session = (
        fields[2] if len(fields) > 2 and type(fields[2]) is bytes and len(fields[2]) == ID_BYTES else None
    )
    seq = fields[3] if session and len(fields) > 3 and type(fields[3]) is int else 0
    return WireError(code, text, session, seq if 0 < seq <= INT64_MAX else 0)


def encode_series(series: Sequence[tuple[str, int]]) -> bytes:
    """Return the `series` field of `(key, aggregation)` pairs."""
    packed: bytes = msgpack.packb(series)
    return packed


def decode_series(packed: bytes) -> tuple[tuple[str, int], ...]:
    """Return the `(key, aggregation)` pairs of a `series` field; names are not checked here."""
    if not packed:
        return ()
    try:
        series = msgpack.unpackb(packed, use_list=False)
    except Exception as error:  # noqa: BLE001 - the unpacker raises many kinds, each is a malformed field
        raise WireError(RejectCode.SERIES, f"series is not a MessagePack array: {error}") from None
    if type(series) is not tuple or any(
        type(pair) is not tuple or tuple(map(type, pair)) != (str, int) for pair in series
    ):
        raise WireError(RejectCode.SERIES, "series is not an array of [key, aggregation]")
    if len({key for key, _ in series}) != len(series):
        raise WireError(RejectCode.SERIES, "a key stands twice in series")
    return series
