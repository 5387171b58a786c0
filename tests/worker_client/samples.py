"""One fixed message of each kind: golden/ holds their bytes, and PROTOCOL.md shows them.

`python -m tests.worker_client.samples` writes the files of golden/ that are missing; those that exist are
never changed, because they are the version.
"""

from __future__ import annotations

import struct
from pathlib import Path

from stats_aggregator_client.wire import (
    Ack,
    Batch,
    Bye,
    Heartbeat,
    Hello,
    Kind,
    Message,
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
    encode,
    encode_series,
)

GOLDEN = Path(__file__).parent / "golden"
SESSION = bytes(range(16))
PROCESS = bytes(range(16, 32))
SERVER = bytes(range(32, 48))
NOON = 1_750_000_000_000_000_000
LENGTH = 10_000_000_000
SERIES = encode_series((("Environment/Cumulative Reward", 0), ("Losses/Policy Loss", 1)))

SAMPLES: dict[Kind, Message] = {
    Kind.HELLO: Hello(SESSION, "env-17", None, PROCESS, {"host": "node-3", "pid": 4242}, 1, None),
    Kind.BATCH: Batch(
        session=SESSION,
        seq=1,
        category="3DBall",
        closing=1,
        step=5000,
        steps=0,
        t_first=NOON,
        t_last=NOON + 500_000_000,
        series=SERIES,
        counts=struct.pack("<2I", 2, 1),
        values=struct.pack("<3d", 1.0, -2.5, 0.1),
        lost=0,
        uncertain=0,
    ),
    Kind.PARTIAL: Partial(
        session=SESSION,
        seq=2,
        category="3DBall",
        closing=0,
        step=None,
        steps=64,
        t_first=NOON,
        t_last=NOON + LENGTH - 1,
        late=0,
        lost=3,
        uncertain=0,
        workers=("env-17",),
        mantissa_bits=7,
        series=encode_series((("Losses/Policy Loss", 1),)),
        parts=(
            tuple(
                PartialSeries(
                    num=2,
                    origin=1.0,
                    mean_from_origin=0.5,
                    m2=0.5,
                    sum=3.0,
                    min=1.0,
                    max=2.0,
                    min_worker="env-17",
                    max_worker="env-17",
                    last=2.0,
                    last_order=(NOON, SESSION, 2, 1),
                    num_nan=1,
                    nan_worker="env-17",
                    num_inf=0,
                    inf_worker=None,
                    bucket_keys=struct.pack("<2i", 130_945, 131_073),
                    bucket_counts=struct.pack("<2Q", 1, 1),
                    latest=(("env-17", 2.0, NOON, SESSION, 2, 1),),
                )
            ),
        ),
    ),
    Kind.PROPERTY: Property(
        SESSION, 3, "3DBall", "hyperparameters", {"learning_rate": 0.0003, "layers": (64, 64)}
    ),
    Kind.WRITE: Write(SESSION, 4, "3DBall", 5000),
    Kind.REWIND: Rewind(SESSION, 5, "3DBall", 4000),
    Kind.HEARTBEAT: Heartbeat(SESSION),
    Kind.BYE: Bye(SESSION),
    Kind.STATUS: Status(),
    Kind.WELCOME: Welcome(SESSION, SERVER, "env-17", "default", 0, 1 << 20, NOON, (LENGTH,)),
    Kind.ACK: Ack(SESSION, 5, 1 << 20, NOON, (LENGTH,)),
    Kind.NACK: Nack(SESSION, 2),
    Kind.REJECT: Reject(SESSION, 3, 8, "property type 'notes'; known are hyperparameters, selfplay"),
    Kind.STATUS_REPLY: StatusReply({"state": "serving", "workers": 64}),
}

NOTICES = ("worker 'env-17' counts steps, and worker 'env-3' sets them: category '3DBall' has one axis",)
WHOLE: dict[str, Message] = {
    "WELCOME_WHOLE": SAMPLES[Kind.WELCOME]._replace(widths=(50_000, 1000), notices=NOTICES),  # type: ignore[union-attr]
    "ACK_WHOLE": SAMPLES[Kind.ACK]._replace(widths=(50_000, 1000), notices=NOTICES),  # type: ignore[union-attr]
}
"""Messages with the fields that were added within the version, by the names under which the page has them."""
SHOWN: dict[str, Message] = {kind.name: message for kind, message in SAMPLES.items()} | WHOLE


def golden(name: str) -> bytes:
    """Return the bytes of the message that is shown as `name`, as they are checked in."""
    return bytes.fromhex((GOLDEN / f"{name.lower()}.hex").read_text())


def hex_lines(frame: bytes) -> str:
    """Return `frame` in hexadecimal, 32 bytes a line."""
    return "\n".join(frame[begin : begin + 32].hex(" ") for begin in range(0, len(frame), 32))


if __name__ == "__main__":
    for name, message in SHOWN.items():
        file = GOLDEN / f"{name.lower()}.hex"
        if not file.exists():
            file.write_text(hex_lines(encode(message)) + "\n")
