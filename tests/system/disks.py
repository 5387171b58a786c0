"""A disk that keeps what was synced, and of the rest as much or as little as a test says.

It is told the system calls of a daemon (traces.py). The model is as bad as POSIX permits: what is written to
a file is safe once a sync of that file has returned, a name once a sync of its directory has; until then each
write and each change of a name may be there or not, whatever became of those before it, and a write may be
there in part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tests.system.traces import Call

SECTOR_BYTES = 512


class Write(NamedTuple):
    """Bytes at an offset of a file; without any, its new size."""

    offset: int
    data: bytes | None


class NameChange(NamedTuple):
    """A change of names in a directory: `node` is at `path` now, and no longer at `old`."""

    path: str
    node: Node | None
    old: str | None = None


class Node:
    """A file, or a directory: what is safe of it, and what is not yet."""

    def __init__(self, is_directory: bool) -> None:
        self.is_directory = is_directory
        self.content = bytearray()
        self.pending: list[Write] = []
        self.position = 0


Fate = Callable[[Write | NameChange], object]
"""Says of what is not safe whether the disk has it; of a write it may say the numbers of the sectors."""


def nothing(_: Write | NameChange) -> bool:
    """The disk has what was synced, and no more."""
    return False


def deletions_alone(change: Write | NameChange) -> bool:
    """The disk has forgotten all names that were to go, and has nothing else that was not synced."""
    return isinstance(change, NameChange) and change.node is None


class Disk:
    """The files below `root`, whose own name is safe."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: dict[str, Node] = {self._root: Node(is_directory=True)}
        self._safe: dict[str, Node] = {}
        self._pending: defaultdict[str, list[NameChange]] = defaultdict(list)
        self._syncing: dict[int, int] = {}

    def run(self, calls: Sequence[Call], until: int) -> Disk:
        """Take the calls up to a place; one that has not returned there may have happened or not."""
        ours = [call for call in calls if call.start <= until and self._is_ours(call.path)]
        steps = [(call.start, False, call) for call in ours]
        steps += [(call.end, True, call) for call in ours if call.end <= until]
        for _, is_end, call in sorted(steps, key=lambda step: step[:2]):
            self._take(call, is_end)
        return self

    def _is_ours(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root + "/")

    def _take(self, call: Call, is_end: bool) -> None:
        if call.name in ("fsync", "fdatasync"):
            self._sync(call, is_end)
        elif is_end or call.path.endswith(("-shm", "(deleted)")):
            return  # SQLite makes its shared memory anew after a crash
        elif call.name == "openat":
            self._open(call)
        elif call.name.startswith("mkdir"):
            self._name(NameChange(call.path, Node(is_directory=True)))
        elif call.name.startswith("rename"):
            self._name(NameChange(call.data.decode(), self._names[call.path], call.path))
        elif call.name.startswith("unlink"):
            self._name(NameChange(call.path, None, call.path))
        elif call.path in self._names:
            self._write(call, self._names[call.path])

    def _open(self, call: Call) -> None:
        if "O_CREAT" in call.flags and call.path not in self._names:
            self._name(NameChange(call.path, Node(is_directory=False)))
        if call.path in self._names and "O_RDONLY" not in call.flags:
            node = self._names[call.path]
            node.position = 0
            if "O_TRUNC" in call.flags:
                node.pending.append(Write(0, None))

    def _write(self, call: Call, node: Node) -> None:
        if call.name == "ftruncate":
            node.pending.append(Write(call.number, None))
        elif call.name == "fallocate":
            node.pending.append(Write(call.number, b""))
        elif call.name == "pwrite64":
            node.pending.append(Write(call.number, call.data))
        else:
            assert call.name in ("write", "writev"), call.name
            node.pending.append(Write(node.position, call.data))
            node.position += len(call.data)

    def _name(self, change: NameChange) -> None:
        self._pending[str(PurePosixPath(change.path).parent)].append(change)
        _rename(self._names, change)

    def _sync(self, call: Call, is_end: bool) -> None:
        node = self._names.get(call.path)
        if node is None:
            return
        pending: list[Write] | list[NameChange] = (
            self._pending[call.path] if node.is_directory else node.pending
        )
        if not is_end:
            # What comes while it runs is not of it.
            self._syncing[call.start] = len(pending)
            return
        done = pending[: self._syncing.pop(call.start)]
        del pending[: len(done)]
        for change in done:
            if isinstance(change, Write):
                _write(node.content, change)
            else:
                _rename(self._safe, change)

    def crash(self, directory: Path, fate: Fate) -> None:
        """Make in `directory` what a disk may hold that loses its power now."""
        names = dict(self._safe)
        for changes in self._pending.values():
            for change in changes:
                if fate(change):
                    _rename(names, change)
        for path in sorted(names):
            target = directory / PurePosixPath(path).relative_to(self._root)
            if not target.parent.is_dir():
                continue  # the name of its directory was not safe
            if names[path].is_directory:
                target.mkdir()
            else:
                target.write_bytes(_content(names[path], fate))


def _content(node: Node, fate: Fate) -> bytes:
    content = bytearray(node.content)
    for write in node.pending:
        kept = fate(write)
        if kept is True or (kept and not write.data):
            _write(content, write)
        elif kept:
            for sector in _sectors(write):
                if sector.offset // SECTOR_BYTES in kept:  # type: ignore[operator]
                    _write(content, sector)
    return bytes(content)


def _sectors(write: Write) -> Iterator[Write]:
    assert write.data is not None
    offset, end = write.offset, write.offset + len(write.data)
    while offset < end:
        following = min(offset - offset % SECTOR_BYTES + SECTOR_BYTES, end)
        yield Write(offset, write.data[offset - write.offset : following - write.offset])
        offset = following


def _write(content: bytearray, write: Write) -> None:
    end = write.offset + len(write.data or b"")
    if write.data is None:
        del content[end:]
    content.extend(bytes(max(end - len(content), 0)))
    content[write.offset : end] = write.data or b""


def _rename(names: dict[str, Node], change: NameChange) -> None:
    if change.old is not None:
        names.pop(change.old, None)
    if change.node is not None:
        names[change.path] = change.node
