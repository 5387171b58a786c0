"""AddressFile: tells workers on other machines where the daemon listens, for as long as it does."""

from __future__ import annotations

from pathlib import Path

from ..errors import SettingError


class AddressFile:
    """A file with the bound address on one line; it may be on a shared file system.

    Made, its directory is there and it can be written. Raises SettingError where it cannot.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise SettingError("--address-file", str(path), "a file; this is a directory")
        self._path = path
        self._beginning = path.with_name(path.name + ".new")
        self._line = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._beginning.write_text("")
            self._beginning.unlink()
        except OSError as error:
            right = f"a file that can be written: {error.strerror}"
            raise SettingError("--address-file", str(path), right) from error

    def write(self, address: str) -> None:
        """Write it whole or not at all: workers read it at any moment."""
        self._line = address + "\n"
        self._beginning.write_text(self._line)
        self._beginning.replace(self._path)

    def close(self) -> None:
        """Remove it: one that stays would send the next job's workers to where nobody listens."""
        try:
            if self._line and self._path.read_text() == self._line:  # else another daemon has taken it over
                self._path.unlink()
        except OSError:
            pass  # somebody was faster
