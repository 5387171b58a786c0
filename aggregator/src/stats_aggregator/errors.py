"""What can go wrong in the daemon.

StatsAggregatorError
├── JournalError            a file of the journal is at fault; `path` is which
│   ├── JournalFull         there is no room for it: make room, the same append works later
│   ├── JournalFailed       it cannot be written or read: the process must stop
│   ├── MisnamedSegment     it holds another segment than its name says: somebody moved or copied it
│   └── UnknownJournalVersion  another version of the daemon wrote it
├── SettingError            a setting has a value that it cannot have
├── DataDirectoryError      the data directory cannot be used: in use, on a network, not writable
├── AcknowledgedGone        files are gone that held what was acknowledged; `missing` says what
├── BindError               the address cannot be bound
├── StoreError              the database of what goes out cannot be used
│   ├── StoreFull           no room on the disk: wait, and try again
│   ├── StoreBusy           another program holds its lock: wait, and try again
│   └── StoreFailed         anything else: its file, and what is wrong
└── PluginError             a plugin cannot be used
    ├── UnknownWriter       no such name is installed
    └── RegistrationFault   its registration function broke the contract
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class StatsAggregatorError(Exception):
    """The root of all errors of this package."""


class SettingError(StatsAggregatorError):
    """Raised when a setting has a value that it cannot have."""

    def __init__(self, setting: str, value: object, right: str) -> None:
        super().__init__(f"{setting} is {value!r}; right would be {right}")
        self.setting = setting
        self.value = value
        self.right = right


class DataDirectoryError(StatsAggregatorError):
    """Raised when the data directory cannot be used; `path` is which."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the data directory {path} {why}")
        self.path = path
        self.why = why


class AcknowledgedGone(StatsAggregatorError):  # noqa: N818 - the name says what happened
    """Raised at a start that would lose what was acknowledged, since whole files are gone."""

    def __init__(self, path: Path, missing: str) -> None:
        super().__init__(
            f"{path}: {missing}; put back what was moved or restored from an older copy, or start once with "
            "--accept-loss to go on without it (nothing was deleted)"
        )
        self.path = path
        self.missing = missing


class BindError(StatsAggregatorError):
    """Raised when the address cannot be bound."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")
        self.address = address


class StoreError(StatsAggregatorError):
    """Raised when the database of what goes out cannot be used; `path` is its file."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the store {path}: {why}")
        self.path = path
        self.why = why


class StoreFull(StoreError):  # noqa: N818 - the name says what happened
    """Raised when there is no room on the disk; nothing was changed, and the same call may succeed later."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "the disk is full; make room, nothing that was acknowledged is lost meanwhile")


class StoreBusy(StoreError):  # noqa: N818 - the name says what happened
    """Raised when another program holds the lock; nothing was changed, and the call may succeed later."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "another program is in the middle of writing to it; let it finish, or end it")


class StoreFailed(StoreError):  # noqa: N818 - the name says what happened
    """Raised when the database is damaged, of another program or version, or cannot be read or written."""


class PluginError(StatsAggregatorError):
    """Raised when a plugin cannot be used."""


class UnknownWriter(PluginError):  # noqa: N818 - the name says what happened
    """Raised when a writer is named that no installed plugin provides; `known` are those that are."""

    def __init__(self, option: str, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(set(known)))
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(
            f"{option} {name!r} is no installed writer; {hint}installed: {', '.join(self.known) or 'none'}"
        )


class RegistrationFault(PluginError):  # noqa: N818 - the name says what happened
    """Raised when a registration function returns something other than a list of StatsWriter."""


class JournalError(StatsAggregatorError):
    """The root of what can be wrong with a file of the journal."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path = path


class JournalFull(JournalError):  # noqa: N818 - the name says what happened
    """Raised when the disk has no room; the journal is as before the call, which may be repeated."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(path, f"{error.strerror}; make room there, and nothing is lost")


class JournalFailed(JournalError):  # noqa: N818 - the name says what happened
    """Raised when the journal cannot be read or written. Nothing more may be acknowledged: stop."""

    def __init__(self, path: Path, error: OSError) -> None:
        text = f"{error.strerror or error}; {what_to_do(error)}, what was acknowledged is kept"
        super().__init__(path, text)


class MisnamedSegment(JournalError):  # noqa: N818 - the name says what happened
    """Raised when a segment stands under the name of another one."""

    def __init__(self, path: Path, right_name: str) -> None:
        super().__init__(
            path,
            f"holds the segment that belongs in {right_name}; give it that name, or move it away if it is a "
            "copy (nothing was deleted)",
        )


class UnknownJournalVersion(JournalError):  # noqa: N818 - the name says what happened
    """Raised when a segment is of a version that this daemon does not know."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(path, f"version {version} of the journal; this stats-aggregator reads {known}")
        self.version = version


_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a file system says where there is no room."""


def journal_error(path: Path, error: OSError) -> JournalFull | JournalFailed:
    """Return what an OSError at a file of the journal means."""
    return JournalFull(path, error) if error.errno in NO_ROOM else JournalFailed(path, error)


def what_to_do(error: OSError) -> str:
    """Return what a person can do about an error at a file of the data directory."""
    if error.errno in NO_ROOM:
        return "make room there"
    if error.errno in _NOT_ALLOWED:
        return "let the daemon's user read and write it"
    if error.errno in _IN_THE_WAY:
        return "something else stands in its place: move that away"
    return "see what is wrong with the disk"
