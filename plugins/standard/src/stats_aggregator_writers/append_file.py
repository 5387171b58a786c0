"""AppendFile: a file of lines that only grows, holds each period once, and survives a crash."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable

from .durable import append, make_directory, sync_directory
from .errors import ForeignFileError

REMEMBERED_PERIODS = 10_000
"""How many of the newest period ids a file knows by heart."""
TAIL_BYTES = 16 << 20
"""How much of an existing file's end is read for the ids in it."""


class AppendFile:
    """Appends whole periods, each in one write and one sync; a period whose id it holds is not written again.

    Whatever may have broken off (a crash, a full disk, a file that a person moved away) is mended at the next
    `append`: a last line without its end is cut off, and where the last period in the file comes again, it
    takes the place of what stands there, since that may be a part of it. No file is held open between calls.
    """

    def __init__(self, path: str, id_of: Callable[[bytes], str | None], header: bytes = b"") -> None:
        """Append to the file at `path`; `id_of` returns a line's period id, `header` is the first line."""
        self._path = path
        self._id_of = id_of
        self._header = header
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._end: int | None = None  # the size after the last whole append; None where that is not known
        self._last: tuple[str, int] | None = None  # a period that may stand there in part, and its offset

    def append(self, period_id: str, lines: bytes) -> None:
        """Write `lines`, all that belongs to the period, and return when they are durable.

        Raises OSError where that cannot be; ForeignFileError is one.
        """
        make_directory(os.path.dirname(self._path))
        with open(self._path, "a+b", buffering=0) as file:
            descriptor = file.fileno()
            if os.fstat(descriptor).st_size != self._end:
                self._end = self._mend(descriptor)
            if self._last and self._last[0] == period_id:
                self._end = self._last[1]
                os.ftruncate(descriptor, self._end)
                self._ids.pop(period_id, None)
            self._last = None
            if period_id in self._ids:
                return
            data = lines if self._end else self._header + lines
            append(descriptor, data)  # should it fail, the size is another, and the file is mended next time
            if not self._end:
                sync_directory(os.path.dirname(self._path))
            self._end += len(data)
            self._remember(period_id)

    def _mend(self, descriptor: int) -> int:
        """Read the ids at the file's end, cut off a line without an end, and return the size that is left."""
        size = os.fstat(descriptor).st_size
        self._ids.clear()
        self._last = None
        head = os.pread(descriptor, len(self._header), 0)
        if not self._header.startswith(head):
            raise ForeignFileError(
                f"{self._path} begins with {head[:80]!r}..., not with the columns of this version; "
                "move it away, and a new file is begun"
            )
        lines = self._read_tail(descriptor, size)
        end = size
        if lines and not lines[-1].endswith(b"\n"):
            end -= len(lines.pop())
        offset = end - sum(map(len, lines))
        for line in lines:
            period_id = self._id_of(line)
            if period_id is not None:
                if self._last is None or self._last[0] != period_id:
                    self._last = period_id, offset
                self._remember(period_id)
            offset += len(line)
        if end <= len(self._header):
            end = 0  # nothing but a header, which may itself be torn
        if end != size:
            os.ftruncate(descriptor, end)
        return end

    def _read_tail(self, descriptor: int, size: int) -> list[bytes]:
        """Return the file's last lines without the header: TAIL_BYTES of them, but two periods at least."""
        span = TAIL_BYTES
        while True:
            begin = max(len(self._header), size - span)
            lines = os.pread(descriptor, max(size - begin, 0), begin).splitlines(keepends=True)
            if begin == len(self._header):
                return lines
            del lines[:1]  # it began before
            if len({self._id_of(line) for line in lines if line.endswith(b"\n")} - {None}) > 1:
                return lines
            span *= 4

    def _remember(self, period_id: str) -> None:
        self._ids[period_id] = None
        if len(self._ids) > REMEMBERED_PERIODS:
            self._ids.popitem(last=False)
