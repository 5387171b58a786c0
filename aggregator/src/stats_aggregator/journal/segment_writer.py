"""SegmentWriter: one segment being written, each append whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from .. import failpoints
from ..errors import NO_ROOM, JournalError, JournalFailed, journal_error
from .segment import (
    SALT_BYTES,
    Record,
    SegmentHeader,
    encode_append,
    encode_header,
    segment_name,
)

UNPUBLISHED = ".new"
"""What a segment's file name ends in while it is made."""

_MAX_BUFFERS = 1024  # POSIX lets systems refuse more in one writev.
_NO_PREALLOCATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class SegmentWriter:
    """A new segment. It stands under its name once `publish` returns, so a half-made one is never read.

    Every method raises JournalFull where there is no room, and JournalFailed on any other fault of the disk.
    """

    def __init__(self, directory: Path, number: int, *, replaces: int = 0, preallocated_bytes: int) -> None:
        self.number = number
        self.path = directory / segment_name(number)
        self.size_bytes = 0
        """What is written, without what is preallocated beyond."""
        self._unpublished = self.path.with_name(self.path.name + UNPUBLISHED)
        self._header = SegmentHeader(number, replaces, 0, os.urandom(SALT_BYTES))
        self._seeds = self._header.seeds
        try:
            self._fd = os.open(self._unpublished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise journal_error(self._unpublished, error) from error
        try:
            self._preallocate(preallocated_bytes)
            self.write([encode_header(self._header)])
        except JournalError:
            self.discard()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Write `records`; after JournalFull the file is as before."""
        self.write(self.encoded(records))

    def encoded(self, records: Sequence[Record]) -> list[bytes | memoryview]:
        """Return what `write` takes."""
        return encode_append(records, self._seeds)

    def sync(self) -> None:
        """Bring to the disk what is written; never again after a failure, the kernel forgets what it lost."""
        try:
            failpoints.reach("journal.sync.before")
            # macOS has no fdatasync.
            getattr(os, "fdatasync", os.fsync)(self._fd)
            failpoints.reach("journal.sync.after")
        except OSError as error:
            raise JournalFailed(self.path, error) from error

    def publish(self, *, sync: bool) -> None:
        """Give the file its name; with `sync` it and its name are on the disk first."""
        self._note_head()
        if sync:
            self.sync()
        try:
            if self.path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            failpoints.reach("segment.rename.before")
            self._unpublished.rename(self.path)
        except OSError as error:
            raise journal_error(self.path, error) from error
        try:
            failpoints.reach("segment.rename.after")
            if sync:
                sync_directory(self.path.parent)
        except OSError as error:
            # It has its name already: however full the disk, this cannot be tried again.
            raise JournalFailed(self.path, error) from error

    def _note_head(self) -> None:
        """Say in the header how much is in the file now: none of that can be a write that broke off."""
        header = encode_header(self._header._replace(head_bytes=self.size_bytes))
        try:
            if os.pwrite(self._fd, header, 0) < len(header):
                raise OSError(errno.ENOSPC, "only a part could be written")
        except OSError as error:
            raise journal_error(self.path, error) from error

    def discard(self) -> None:
        """Give up a segment that is not published."""
        self.close()
        self._unpublished.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file and give back what was preallocated and not used."""
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self.size_bytes)
        except OSError:
            pass  # Then the zeros stay; a reader does not mind them.
        os.close(self._fd)
        self._fd = -1

    def _preallocate(self, size_bytes: int) -> None:
        allocate = getattr(os, "posix_fallocate", None)  # macOS has none.
        if allocate is None:
            return
        try:
            allocate(self._fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in _NO_PREALLOCATION:
                raise journal_error(self._unpublished, error) from error

    def write(self, buffers: list[bytes | memoryview]) -> None:
        """Write what was encoded for this segment, as `append` does. Any one thread at a time may call it."""
        size_bytes = 0
        try:
            for first in range(0, len(buffers), _MAX_BUFFERS):
                gathered = buffers[first : first + _MAX_BUFFERS]
                gathered_bytes = sum(map(len, gathered))
                failpoints.reach("journal.write.before")
                if os.writev(self._fd, gathered) < gathered_bytes:
                    raise OSError(errno.ENOSPC, "only a part could be written")
                failpoints.reach("journal.write.after")
                size_bytes += gathered_bytes
        except OSError as error:
            if error.errno in NO_ROOM:
                self._take_back()
            raise journal_error(self.path, error) from error
        self.size_bytes += size_bytes

    def _take_back(self) -> None:
        # Half an append before the next would be read as damage.
        try:
            os.ftruncate(self._fd, self.size_bytes)
            os.lseek(self._fd, self.size_bytes, os.SEEK_SET)
        except OSError as error:
            raise JournalFailed(self.path, error) from error


def sync_directory(directory: Path) -> None:
    """Bring the names in `directory` to the disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
