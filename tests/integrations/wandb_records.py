"""What W&B's own package wrote offline: its file is a log of LevelDB's format behind a header."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK_BYTES, _HEAD_BYTES, _FILE_HEAD_BYTES = 32768, 7, 7
_FULL, _LAST = 1, 4


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file, which stand in blocks, in parts where they are longer."""
    data, at, whole = path.read_bytes(), _FILE_HEAD_BYTES, b""
    while at + _HEAD_BYTES <= len(data):
        left = _BLOCK_BYTES - at % _BLOCK_BYTES
        if left < _HEAD_BYTES:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + _HEAD_BYTES])
        whole += data[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
        at += _HEAD_BYTES + length
        if kind in (_FULL, _LAST):
            yield whole
            whole = b""


def history(directory: Path) -> list[dict[str, Any]]:
    """Return the rows that an offline run below `directory` has logged."""
    from wandb.proto import wandb_internal_pb2

    (path,) = directory.glob("wandb/offline-run-*/*.wandb")
    rows = []
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.history.item:
            items = record.history.item
            rows.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
    return rows
