"""The messages of the wire: a frozen record for each kind, its fields in the order in which they travel."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

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
    """The answer to HELLO. `windows` are the lengths of time periods in nanoseconds, see PROTOCOL.md.

    `widths` are the widths in steps of periods that end by steps, `notices` are for a person at the worker.
    Fields with a default may be missing at the end of a frame, and are not sent where nothing is in them.
    """

    session: bytes
    server: bytes
    worker: str
    run: str
    durable_seq: int
    credit: int
    time: int
    windows: Sequence[int]
    widths: Sequence[int] = ()
    notices: Sequence[str] = ()


class Ack(NamedTuple):
    """All up to `durable_seq` is stored and counted; the other fields are those of Welcome."""

    session: bytes
    durable_seq: int
    credit: int
    time: int
    windows: Sequence[int]
    widths: Sequence[int] = ()
    notices: Sequence[str] = ()


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

RECORDS: dict[int, type[Message]] = {
    Kind.HELLO: Hello, Kind.BATCH: Batch, Kind.PARTIAL: Partial, Kind.PROPERTY: Property, Kind.WRITE: Write,
    Kind.REWIND: Rewind, Kind.HEARTBEAT: Heartbeat, Kind.BYE: Bye, Kind.STATUS: Status,
    Kind.WELCOME: Welcome, Kind.ACK: Ack, Kind.NACK: Nack, Kind.REJECT: Reject,
    Kind.STATUS_REPLY: StatusReply,
}  # fmt: skip
