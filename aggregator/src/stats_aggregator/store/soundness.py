"""Soundness: is the store's file whole, and the one of this data directory? Asked before it is opened.

SQLite itself does not ask: it takes any write-ahead log of the right name for the file's own, and removes one
that stands beside an empty file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ..errors import StoreFailed, what_to_do
from .database import Database

CHECKED_BYTES = 256 << 20
"""Files up to this size are checked whole after a crash; that takes about a second."""

_PUT_BACK = "put back the right one; or move both away (nothing was deleted), and start again"
_PAGE_SIZE_AT = 16


def check_sound(path: Path, server_id: bytes) -> None:
    """Raise StoreFailed where the store at `path` cannot be the one that this data directory was left with.

    Nothing is changed. What is missing altogether is for the journal to tell.
    """
    log = path.with_name(f"{path.name}-wal")
    for file in (path, log):
        if file.is_dir():
            raise StoreFailed(file, "is a directory, and a file is expected; move it away")
    try:
        size_bytes = path.stat().st_size if path.exists() else 0
        log_bytes = log.stat().st_size if log.exists() else 0
        if log_bytes and not size_bytes:
            raise StoreFailed(path, f"is missing or empty, and its log {log.name} is not; {_PUT_BACK}")
        if size_bytes and not log_bytes:
            _check_whole(path, size_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error
    if log_bytes:
        _check_log(path, log, server_id, size_bytes + log_bytes)


def _check_whole(path: Path, size_bytes: int) -> None:
    """SQLite reads zeros where the last page is cut short."""
    with path.open("rb") as file:
        head = file.read(_PAGE_SIZE_AT + 2)
    page_bytes = int.from_bytes(head[_PAGE_SIZE_AT:], "big")
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    if head.startswith(b"SQLite format 3\0") and page_bytes and size_bytes % page_bytes:
        raise StoreFailed(path, f"ends in the middle of a page, it was cut off; {_PUT_BACK}")


def _check_log(path: Path, log: Path, server_id: bytes, size_bytes: int) -> None:
    """Look at the two together as SQLite would, by a connection that cannot write."""
    fault = None
    try:
        with closing(_look_into(path)) as connection:
            owners = _owners(connection)
            if size_bytes <= CHECKED_BYTES:
                (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                fault = None if found == "ok" else found
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error) and "not a database" not in str(error):
            return  # a full disk, say: opening it will tell
        owners, fault = [], str(error)
    if fault or owners not in ([], [server_id]):
        why = fault or "they are of another data directory"
        raise StoreFailed(path, f"it and its log {log.name} do not belong together ({why}); {_PUT_BACK}")


def sync_files(path: Path) -> None:
    """Bring to the disk what an earlier process wrote to the store at `path`, and may not have synced.

    What it committed is seen at the next opening, out of the page cache too, and then the journal lets go of
    it. Before SQLite opens the file: closing another descriptor of it would take SQLite's locks away.
    Raises StoreFailed.
    """
    try:
        for file in (path, path.with_name(f"{path.name}-wal"), path.parent):
            if file.exists():
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StoreFailed:
    # What may not be opened is not yet at fault in any other way.
    what = "read" if error.filename else "synced"
    why = f"cannot be {what}: {error.strerror}; {what_to_do(error)}"
    return StoreFailed(Path(error.filename or path), why)


def owner_of(path: Path) -> bytes | None:
    """Return the id of the data directory that the store at `path` belongs to; None where it does not tell.

    Nothing is changed.
    """
    # Without a log nobody is writing; and SQLite would make one, just to read.
    log = path.with_name(f"{path.name}-wal")
    try:
        with closing(_look_into(path, "" if log.exists() else "&immutable=1")) as connection:
            owners = _owners(connection)
    except sqlite3.DatabaseError:
        return None
    return owners[0] if owners else None


def _look_into(path: Path, more: str = "") -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro{more}", uri=True)


def own(database: Database, server_id: bytes) -> None:
    """Let a new store be this data directory's; raise StoreFailed where it is another's."""
    with database.transaction() as connection:
        owners = _owners(connection)
        if not owners:
            connection.execute("INSERT INTO owner VALUES (?)", (server_id,))
    if owners not in ([], [server_id]):
        raise StoreFailed(
            database.path,
            f"belongs to a data directory whose server-id is {owners[0].hex()}, and here it is "
            f"{server_id.hex()}; put back the right one of the two files (nothing was deleted)",
        )


def _owners(connection: sqlite3.Connection) -> list[bytes]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'owner'").fetchone()
    return [bytes(row[0]) for row in connection.execute("SELECT server_id FROM owner")] if known else []
