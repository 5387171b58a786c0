"""DataDirectory: the place on disk that is one daemon's alone, and its identity."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import time
from pathlib import Path

from stats_aggregator_api import name_fault
from stats_aggregator_client.wire import ID_BYTES

from ..errors import DataDirectoryError, SettingError, what_to_do
from ..journal.segment_writer import sync_directory
from ..store.soundness import owner_of

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs",
     "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3", "smbfs"}
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


def _make_directory(path: Path) -> None:
    """Make a directory and those above it; the names of new ones are on the disk when this returns."""
    if path.is_dir():
        return
    if not path.parent.exists():
        _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def default_data_directory() -> Path:
    """Return the node's own scratch space under SLURM, else the user's state directory."""
    scratch = os.environ.get("SLURM_TMPDIR")
    if scratch:
        return Path(scratch) / "stats-aggregator"
    state = os.environ.get("XDG_STATE_HOME")
    if state:
        return Path(state) / "stats-aggregator"
    try:
        return Path.home() / ".local" / "state" / "stats-aggregator"
    except RuntimeError:
        raise SettingError("--data-dir", None, "a local directory; this user has no home for it") from None


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds `path`, by the lines of `/proc/mounts`."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        point = _OCTAL.sub(lambda escape: chr(int(escape[1], 8)), point)
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, found
    return kind


class DataDirectory:
    """A locked data directory; it stays locked until `close`, or until the process ends.

    Raises DataDirectoryError where it is on a network, in use, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._refuse_network()
        try:
            _make_directory(self.path)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unusable(error, "lock") from error
        self._take_lock()
        try:
            self._note_holder()
            self.server_id = self._server_id()
        except BaseException:
            self.close()
            raise

    def _refuse_network(self) -> None:
        if not _MOUNTS.exists():
            return
        kind = file_system(self.path.resolve(), _MOUNTS.read_text())
        if kind in _NETWORK:
            raise DataDirectoryError(
                self.path,
                f"is on a network file system ({kind}), where locks and syncs do not hold; choose a local "
                "one with --data-dir. Results (--results-dir) and --address-file may be on it",
            )

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise DataDirectoryError(
                self.path, f"is in use by another daemon (process {holder}); choose another with --data-dir"
            ) from None

    def _note_holder(self) -> None:
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise self._unusable(error, "lock") from error

    def _unusable(self, error: OSError, name: str) -> DataDirectoryError:
        where = error.filename or self.path / name
        return DataDirectoryError(
            self.path, f"cannot be used: {where}: {error.strerror}; {what_to_do(error)}"
        )

    @property
    def journal(self) -> Path:
        """Where the journal's segments are."""
        return self.path / "journal"

    @property
    def store(self) -> Path:
        """The database of what goes out."""
        return self.path / "store.sqlite"

    def _server_id(self) -> bytes:
        if not (self.path / "server-id").exists() and self.store.exists():
            raise self._without_server_id("has lost its file server-id")
        kept = self._kept("server-id", secrets.token_hex(ID_BYTES))
        if not re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", kept):
            raise self._without_server_id("has a damaged file server-id")
        return bytes.fromhex(kept)

    def _without_server_id(self, fault: str) -> DataDirectoryError:
        owner = owner_of(self.store)
        if owner is None or len(owner) != ID_BYTES:
            return DataDirectoryError(
                self.path,
                f"{fault}, and {self.store.name} does not tell what it held; put back both, or move the "
                "directory away to begin anew (nothing was deleted)",
            )
        file = shlex.quote(str(self.path / "server-id"))
        return DataDirectoryError(self.path, f"{fault}; write it anew: printf '%s\\n' {owner.hex()} > {file}")

    def run_id(self) -> str:
        """Return the run of workers that name none; it is kept until a clean stop."""
        kept = self._kept("run-id", f"run-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
        fault = name_fault(kept)
        if fault:
            raise DataDirectoryError(
                self.path,
                f"has a damaged file run-id: it {fault}; write the name of the run into it, or remove it to "
                "begin a new run",
            )
        return kept

    def forget_run_id(self) -> None:
        """Let the next start begin a run of its own."""
        (self.path / "run-id").unlink(missing_ok=True)

    def _kept(self, name: str, fresh: str) -> str:
        path = self.path / name
        try:
            if path.exists():
                return path.read_text(errors="replace").strip()
            # Whole or not at all: half an identity would be another one.
            beginning = path.with_suffix(".new")
            with beginning.open("w") as file:
                file.write(fresh + "\n")
                file.flush()
                os.fsync(file.fileno())
            beginning.rename(path)
            sync_directory(self.path)
        except OSError as error:
            raise self._unusable(error, name) from error
        return fresh

    def close(self) -> None:
        """Give the directory free; closing twice is fine."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
