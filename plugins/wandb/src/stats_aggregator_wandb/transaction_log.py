"""TransactionLog: the `.wandb` file of a run, read to learn what stands in it.

W&B writes all that a run logs into this file before it uploads anything, online too. `Run.log` itself only
hands a row to another process and confirms nothing.

The file begins with seven bytes of its own. Then come blocks of 32 KiB, LevelDB's log format: chunks with a
checksum (uint32), a length (uint16) and a kind (1 whole, 2 first, 3 middle, 4 last), little-endian, the rest
of a block zero where no head fits. What chunks make up is a protocol buffer, wandb's `Record`.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record

from .errors import UnconfirmedError
from .rows import PERIOD_ID

_BLOCK_BYTES = 32 << 10
_FILE_HEAD_BYTES = 7
_HEAD = struct.Struct("<IHB")
_WHOLE, _FIRST, _LAST = 1, 2, 4
_LOOK_S = 0.005


class TransactionLog:
    """Reads a `.wandb` file from its beginning, further at each call, while it may still grow."""

    def __init__(self, path: str) -> None:
        """Read the file at `path`, which need not be there yet."""
        self.path = path
        self._offset = _FILE_HEAD_BYTES
        self._parts: list[bytes] = []

    def records(self) -> Iterator[Record]:
        """Yield the records that have come since, whole ones only."""
        try:
            with open(self.path, "rb") as file:
                for data in self._read(file):
                    yield Record.FromString(data)
        except FileNotFoundError:
            return
        except DecodeError:
            return  # the rest of a file that a power loss has torn

    def period_ids(self) -> Iterator[str]:
        """Yield the period ids of the rows that have come since."""
        for record in self.records():
            for item in record.history.item:
                if PERIOD_ID in (item.key, *item.nested_key):
                    yield json.loads(item.value_json)

    def confirm(self, period_id: str, timeout_s: float) -> None:
        """Return when the row of `period_id` stands in the file, and the file is synced.

        Raises UnconfirmedError where it does not within `timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        while period_id not in self.period_ids():
            if time.monotonic() > deadline_s:
                raise UnconfirmedError(
                    f"the row of period {period_id} is not in {self.path} after {timeout_s:g} s; "
                    "W&B's debug-internal.log beside it may say why"
                )
            time.sleep(_LOOK_S)
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        while True:
            left = _BLOCK_BYTES - self._offset % _BLOCK_BYTES
            if left < _HEAD.size:
                self._offset += left
                continue
            file.seek(self._offset)
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            _, length, kind = _HEAD.unpack(head)
            body = file.read(length)
            if not kind or len(body) < length:
                return
            self._offset += _HEAD.size + length
            if kind in (_WHOLE, _FIRST):
                self._parts = []
            self._parts.append(body)
            if kind in (_WHOLE, _LAST):
                data, self._parts = b"".join(self._parts), []
                yield data
