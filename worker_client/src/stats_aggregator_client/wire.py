"""The wire, version 1: what workers and the daemon say to each other over ZeroMQ.

A message is ONE frame: a MessagePack array `[version, kind, field, ...]` of at most MAX_MESSAGE_BYTES.
Workers speak through a DEALER socket, the daemon through a ROUTER; there are no further frames.

- Integers are those of MessagePack; times are nanoseconds since the epoch in the daemon's time, int64.
- `session`, `process` and `server` are 16 random bytes.
- `series` is a bin: the MessagePack array of `[key, aggregation]`, keys unique. Workers that run the same
  code send the same bytes, so the daemon parses them once.
- `counts` is a bin of little-endian uint32, one a series, each at least 1; `values` a bin of little-endian
  float64: the values of the first series, then those of the second, and so on.
- Unknown fields at the end are ignored, so that fields can be added within a version.
- The heads of HELLO (`[version, 1, session]`) and REJECT (`[version, 36, session, seq, code, text]`) are the
  same in every version, so that strangers can be told.

A frame that does not decode costs itself alone: it is dropped, counted by reason, and answered with REJECT
where the session can be read. PROTOCOL.md beside this package says what the messages mean.

Each record is a kind of message; `encode` and `decode` are twins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from itertools import product
from typing import Any, NamedTuple

import msgpack

VERSION = 1
MAX_MESSAGE_BYTES = 1 << 20
"""The longest frame either side takes."""
ID_BYTES = 16
"""The length of a session, a process and a server id."""
INT64_MAX = (1 << 63) - 1


class Kind(IntEnum):
    """The kinds of messages: below 32 from the worker, above from the daemon."""

    HELLO = 1
    BATCH = 2
    PARTIAL = 3
    PROPERTY = 4
    WRITE = 5
    REWIND = 6
    HEARTBEAT = 7
    BYE = 8
    STATUS = 9
    WELCOME = 33
    ACK = 34
    NACK = 35
    REJECT = 36
    STATUS_REPLY = 37


class Closing(IntEnum):
    """What ends the periods of a category whose `every` is "auto"."""

    TIME = 0
    WRITE = 1


class RejectCode(IntEnum):
    """Why a message was refused. A refused seq counts as consumed."""

    MALFORMED = 1
    VERSION = 2
    KIND = 3
    TOO_LARGE = 4
    NAME = 5
    SERIES = 6
    COLUMN = 7
    PROPERTY = 8
    UNSUPPORTED = 9
    FORBIDDEN = 10


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


class Hello(NamedTuple):
    """The first message on every new socket."""

    session: bytes
    worker: str
    run: str | None
    process: bytes
    info: Mapping[str, Any]
    first_unacked: int
    server: bytes | None


class Batch(NamedTuple):
    """Raw values of one category. Without series it carries a step or a loss alone."""

    session: bytes
    seq: int
    category: str
    closing: int
    step: int | None
    steps: int
    t_first: int
    t_last: int
    series: bytes
    counts: bytes
    values: bytes
    lost: int
    uncertain: int


class Partial(NamedTuple):
    """Values that were folded where they arose: moments and buckets instead of the values.

    `parts` has one PartialSeries, as a sequence of its fields, for each series.
    """

    session: bytes
    seq: int
    category: str
    closing: int
    step: int | None
    steps: int
    t_first: int
    t_last: int
    late: int
    lost: int
    uncertain: int
    workers: Sequence[str]
    mantissa_bits: int
    series: bytes
    parts: Sequence[Sequence[Any]]


class PartialSeries(NamedTuple):
    """The folded values of one series.

    `last_order` is `[time, session, seq, index]` of `last`. `nan_worker` and `inf_worker` sent the first one,
    or are nil. `bucket_keys` is a bin of int32, ascending, `bucket_counts` a bin of uint64. `latest` is empty
    unless the series is MOST_RECENT: then one `[worker, value, time, session, seq, index]` for each worker.
    """

    num: int
    origin: float
    mean_from_origin: float
    m2: float
    sum: float
    min: float
    max: float
    min_worker: str | None
    max_worker: str | None
    last: float
    last_order: Sequence[Any]
    num_nan: int
    nan_worker: str | None
    num_inf: int
    inf_worker: str | None
    bucket_keys: bytes
    bucket_counts: bytes
    latest: Sequence[Sequence[Any]]


class Property(NamedTuple):
    """A fact that is no number. `type` is the value of a StatsPropertyType, `value` plain JSON types."""

    session: bytes
    seq: int
    category: str
    type: str
    value: Any


class Write(NamedTuple):
    """The trainer says that the period ends; all values sent before belong to it."""

    session: bytes
    seq: int
    category: str
    step: int


class Rewind(NamedTuple):
    """The period ends and the axis goes back to `step`: training resumed from an older checkpoint."""

    session: bytes
    seq: int
    category: str
    step: int


class Heartbeat(NamedTuple):
    """The worker lives; answered with ACK."""

    session: bytes


class Bye(NamedTuple):
    """The worker ends; the session's row stays."""

    session: bytes


class Status(NamedTuple):
    """Asks how the daemon is; it needs no session."""


class Welcome(NamedTuple):
    """The answer to HELLO. `windows` are the lengths of time periods in nanoseconds, see PROTOCOL.md."""

    session: bytes
    server: bytes
    worker: str
    run: str
    durable_seq: int
    credit: int
    time: int
    windows: Sequence[int]


class Ack(NamedTuple):
    """All up to `durable_seq` is stored and counted."""

    session: bytes
    durable_seq: int
    credit: int
    time: int
    windows: Sequence[int]


class Nack(NamedTuple):
    """The daemon expects another seq; 0 asks for HELLO."""

    session: bytes
    expected_seq: int


class Reject(NamedTuple):
    """The message `seq` (0: one without) is refused for good; do not send it again."""

    session: bytes
    seq: int
    code: int
    text: str


class StatusReply(NamedTuple):
    """How the daemon is, as `stats-aggregator status --json` prints it."""

    status: Mapping[str, Any]


FromWorker = Hello | Batch | Partial | Property | Write | Rewind | Heartbeat | Bye | Status
FromDaemon = Welcome | Ack | Nack | Reject | StatusReply
Message = FromWorker | FromDaemon

_RECORDS: dict[int, type[Message]] = {
    Kind.HELLO: Hello, Kind.BATCH: Batch, Kind.PARTIAL: Partial, Kind.PROPERTY: Property, Kind.WRITE: Write,
    Kind.REWIND: Rewind, Kind.HEARTBEAT: Heartbeat, Kind.BYE: Bye, Kind.STATUS: Status,
    Kind.WELCOME: Welcome, Kind.ACK: Ack, Kind.NACK: Nack, Kind.REJECT: Reject,
    Kind.STATUS_REPLY: StatusReply,
}  # fmt: skip
_KINDS = {record: int(kind) for kind, record in _RECORDS.items()}

# What the fields of a record may be, by their annotation, as the unpacker gives them.
_TYPES: dict[str, tuple[type, ...]] = {
    "bytes": (bytes,), "bytes | None": (bytes, type(None)), "str": (str,), "str | None": (str, type(None)),
    "int": (int,), "int | None": (int, type(None)), "float": (float,), "Mapping[str, Any]": (dict,),
    "Any": (type(None), bool, int, float, str, tuple, dict),
}  # fmt: skip


def _shapes(record: type[Any]) -> frozenset[tuple[type, ...]]:
    # One look-up in this set checks the types of all fields at once.
    annotations = [str(getattr(hint, "__forward_arg__", hint)) for hint in record.__annotations__.values()]
    return frozenset(product(*(_TYPES.get(hint, (tuple,)) for hint in annotations)))


_SHAPES = {kind: _shapes(record) for kind, record in _RECORDS.items()}
_PARTIAL_SHAPES = _shapes(PartialSeries)


def encode(message: Message) -> bytes:
    """Return the frame of `message`."""
    frame: bytes = msgpack.packb((VERSION, _KINDS[type(message)], *message))
    return frame


def decode(frame: bytes) -> Message:
    """Return the message in `frame`, every field of its type and range, or raise WireError."""
    if len(frame) > MAX_MESSAGE_BYTES:
        raise WireError(
            RejectCode.TOO_LARGE, f"a message of {len(frame)} bytes; at most {MAX_MESSAGE_BYTES} are allowed"
        )
    try:
        # Arrays come as tuples: a record is frozen through and through.
        fields = msgpack.unpackb(frame, use_list=False)
    except Exception as error:  # noqa: BLE001 - the unpacker raises many kinds, each is a malformed frame
        raise WireError(RejectCode.MALFORMED, f"not a MessagePack array: {error}") from None
    if type(fields) is not tuple or len(fields) < 2:
        raise WireError(RejectCode.MALFORMED, "not a MessagePack array of version, kind and fields")
    version, kind = fields[:2]
    if type(version) is not int or version != VERSION:
        raise _refused(fields, RejectCode.VERSION, f"version {version!r:.40}; this side speaks {VERSION}")
    if type(kind) is not int or kind not in _RECORDS:
        raise _refused(fields, RejectCode.KIND, f"kind {kind!r:.40} is unknown in version {VERSION}")
    record = _RECORDS[kind]
    values = fields[2 : 2 + len(record._fields)]
    if tuple(map(type, values)) not in _SHAPES[kind]:
        raise _refused(fields, RejectCode.MALFORMED, f"the fields of {Kind(kind).name} have other types")
    message = record._make(values)
    fault = _fault(message)
    if fault:
        raise _refused(fields, RejectCode.MALFORMED, f"{Kind(kind).name}: {fault}")
    return message


def _refused(fields: tuple[Any, ...], code: RejectCode, text: str) -> WireError:
    # HELLO's head is the same in every version, and all kinds with a session have it there.
    session = (
        fields[2] if len(fields) > 2 and type(fields[2]) is bytes and len(fields[2]) == ID_BYTES else None
    )
    seq = fields[3] if session and len(fields) > 3 and type(fields[3]) is int else 0
    return WireError(code, text, session, seq if 0 < seq <= INT64_MAX else 0)


def _fault(message: Message) -> str | None:
    """Return what is out of range in a message whose types are right."""
    if isinstance(message, Status | StatusReply):
        return None
    if len(message.session) != ID_BYTES:
        return f"session has {len(message.session)} bytes, not {ID_BYTES}"
    for value in message:
        # The ranges that fit the columns of journal and store; only counts may be many, and they are no ints.
        if type(value) is int and not 0 <= value <= INT64_MAX:
            return f"{value} is not from 0 to 2**63 - 1"
    if isinstance(message, Batch | Partial):
        if message.closing > Closing.WRITE:
            return f"closing is {message.closing}, neither 0 (time) nor 1 (write)"
        if message.t_first > message.t_last:
            return "t_first is after t_last"
    if isinstance(message, Batch) and (len(message.counts) % 4 or len(message.values) % 8):
        return "counts are not whole uint32 or values are not whole float64"
    if isinstance(message, Batch | Partial | Property | Write | Rewind) and message.seq < 1:
        return "seq is 0; the first is 1"
    if isinstance(message, Hello):
        ids = (message.process, message.server or message.process)
        if message.first_unacked < 1 or any(len(found) != ID_BYTES for found in ids):
            return f"first_unacked is less than 1, or an id has not {ID_BYTES} bytes"
    if isinstance(message, Partial):
        return _partial_fault(message)
    return None


def _partial_fault(message: Partial) -> str | None:
    if any(
        tuple(map(type, part[: len(PartialSeries._fields)])) not in _PARTIAL_SHAPES for part in message.parts
    ):
        return "a part's fields have other types"
    if not all(type(worker) is str for worker in message.workers):
        return "workers are not strings"
    return None


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
