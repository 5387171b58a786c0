"""The file `DIRECTORY.newest` beside the journal: the number of its newest segment, so that it is missed."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import NO_ROOM, JournalFailed


def note_newest(directory: Path, number: int) -> None:
    """Note that segment `number` is on the disk. Raises JournalFailed on a fault other than a full disk."""
    path = _path(directory)
    beginning = path.with_name(f"{path.name}.new")
    try:
        with beginning.open("w") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        beginning.rename(path)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise JournalFailed(path, error) from error
        # It still has an earlier number, and that is true too.


def newest_number(directory: Path) -> int:
    """Return the number noted last; 0 where none is, or the file says none."""
    try:
        text = _path(directory).read_text(errors="replace").strip()
    except OSError:
        return 0
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else 0


def _path(directory: Path) -> Path:
    # Not within: it tells too that the whole directory is gone.
    return directory.with_name(f"{directory.name}.newest")
