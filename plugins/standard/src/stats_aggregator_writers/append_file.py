"""AppendFile: a file of lines that only grows, holds each period once, and survives a crash."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence

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

    def __init__(
        self, path: str, id_of: Callable[[bytes], str | None], headers: Sequence[bytes] = (b"",)
    ) -> None:
        """Append to the file at `path`; `id_of` returns a line's period id.

        The first of `headers` is the first line of a new file; one that begins with another of them, as an
        earlier version wrote it, is continued under that.
        """
        self._path = path
        self._id_of = id_of
        self._headers = headers
        self._header = headers[0]
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._end: int | None = None  # the size after the last whole append; None where that is not known
        self._last: tuple[str, int] | None = None  # a period that may stand there in part, and its offset

    def append(self, period_id: str, lines: Callable[[bytes], bytes]) -> None:
        """Write all that belongs to the period, and return when it is durable.

        `lines` is given the header that the file has, and returns what to write below it. Raises OSError
        where it cannot be written; ForeignFileError is one.
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
            data = (b"" if self._end else self._header) + lines(self._header)
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
        self._header = self._header_in(descriptor)
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
            end, self._header = 0, self._headers[0]  # nothing but a header, which may itself be torn
        if end != size:
            os.ftruncate(descriptor, end)
        return end

    def _header_in(self, descriptor: int) -> bytes:
        """Return the one of the headers that the file has; the first where it has none, or a torn one."""
        head = os.pread(descriptor, max(map(len, self._headers)), 0)
        for header in self._headers:
            if head.startswith(header):
                return header
        if not any(header.startswith(head) for header in self._headers):
            raise ForeignFileError(
                f"{self._path} begins with {head[:80]!r}..., not with the columns of this version; "
                "move it away, and a new file is begun"
            )
        return self._headers[0]

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
