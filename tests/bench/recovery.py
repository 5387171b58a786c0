"""Recovery: from the start after a `kill -9` to the line that says it listens."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.bench.intake import WORKERS, push
from tests.bench.raw_session import CATEGORY, ReadyBatch, Shape
from tests.bench.row import Row
from tests.bench.stored import Stored
from tests.system.daemons import Daemon

_SHAPES = (Shape(50, 1), Shape(50, 200))
_READ_BYTES = 1 << 20


def measure_recovery(short: bool) -> Iterator[Row]:
    """Yield seconds and speed for a journal of small batches and for one of large ones."""
    size_bytes = 10_000_000 if short else 1_000_000_000
    empty_s = _empty_start_s()
    for shape in _SHAPES[:1] if short else _SHAPES:
        yield from _recovered(shape, size_bytes, empty_s)


def _empty_start_s() -> float:
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        with Daemon(Path(directory), "--writer", "jsonl"):
            return time.monotonic() - began


def _recovered(shape: Shape, size_bytes: int, empty_s: float) -> Iterator[Row]:
    batches = size_bytes // len(ReadyBatch(bytes(16), shape)) // WORKERS
    options = ("--writer", "jsonl", "--every", "manual", "--close-on-stop")
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(Path(directory), *options).start()
        try:
            pushed = push("raw", daemon.address, shape, 300.0, batches)
            journal_bytes = daemon.status()["journal"]["bytes"]
            daemon.kill()
            checked_s = _checked_s(daemon.directory / "data" / "journal")
            began = time.monotonic()
            daemon.start()
            ready_s = time.monotonic() - began
            assert daemon.stop() == 0, daemon.log.read_text()
        finally:
            daemon.kill()
        with Stored(daemon.directory) as store:
            counts = {"acknowledged": pushed.num_values, "stored": store.num_values(CATEGORY)}
    megabytes = journal_bytes / 1e6
    name = f"a journal of {size_bytes / 1e6:,.0f} MB, batches of {shape}"
    yield Row(f"{name}, ready", ready_s, "s", note=f"{empty_s:.2f} s without one", counts=counts)
    yield Row(
        f"{name}, speed",
        megabytes / ready_s,
        "MB/s",
        "to read it and take its CRC",
        checked_s / ready_s,
        higher_is_better=True,
        note=f"{megabytes:,.0f} MB, {batches * WORKERS / ready_s:,.0f} batches/s",
    )


def _checked_s(journal: Path) -> float:
    """Return how long it takes to read all files of a journal, and to compute a check sum over them."""
    began = time.monotonic()
    for path in sorted(journal.iterdir()):
        with path.open("rb") as file:
            crc = 0
            while chunk := file.read(_READ_BYTES):
                crc = zlib.crc32(chunk, crc)
    return time.monotonic() - began
