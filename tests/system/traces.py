"""System calls of a real daemon, as strace saw them: what was written, synced, renamed and sent, in order."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from stats_aggregator_client.wire import Message, WireError, decode
from tests.system.daemons import wait_until

REQUIRED = "STATS_AGGREGATOR_TESTS_REQUIRE_STRACE"
"""Set where a skipped test would be a test that nobody runs."""
_CALLS = (
    "openat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,sendto,sendmsg"
)
_LINE = re.compile(
    r"(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)"  # thread, call
    r"(.*?)(?:\) += (-?\d+)[^\"]*| <unfinished \.\.\.>)$"  # arguments, result
)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^\d+<([^>]*)>")
_GREETING_BYTES = 64


class Call(NamedTuple):
    """A system call that succeeded. `start` and `end` are places in the order of all starts and ends.

    `path` is the file, directory or socket that it is about, `data` what it wrote, or the new path of a
    rename; `number` the offset of a pwrite, or the size that a file gets.
    """

    start: int
    end: int
    name: str
    path: str
    data: bytes
    number: int
    flags: str


def traced_python(directory: Path) -> str:
    """Return a program to start instead of Python, which leaves `directory`/traced.PID behind."""
    if shutil.which("strace") is None:
        text = "strace is not installed; on Debian and Ubuntu: apt-get install strace"
        if os.environ.get(REQUIRED):
            pytest.fail(text)
        pytest.skip(text)
    program = directory / "traced"
    options = f"-D -f --seccomp-bpf -y -xx -s 16777216 -e trace={_CALLS}"
    program.write_text(f'#!/bin/sh\nexec strace {options} -o "$0.$$" {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)


def calls_of(directory: Path, pids: Sequence[int]) -> list[Call]:
    """Return the calls of the processes that were started by these ids, in the order of their starts."""
    lines = []
    for pid in pids:
        trace = directory / f"traced.{pid}"
        wait_until(lambda trace=trace: _is_whole(trace), f"the end of {trace.name}")
        # Ids, and sockets, may come again in the next process.
        lines += [f"{line} #{pid}" for line in trace.read_text().splitlines()]
    return sorted(_calls(lines))


def _is_whole(trace: Path) -> bool:
    lines = trace.read_text().splitlines()
    ended = {line.split()[0] for line in lines if "+++" in line}
    return bool(ended) and {line.split()[0] for line in lines} == ended


def _calls(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    for place, line in enumerate(lines):
        text, _, process = line.rpartition(" #")
        match = _LINE.match(text)
        if match is None:
            continue
        thread, name, arguments, result = match.groups()
        start, before = begun.pop((process, thread), (place, ""))
        if "resumed>" not in text:
            # One that was begun and never resumed is of a thread that died in it, whose id came again.
            start, before = place, ""
        if result is None:
            begun[process, thread] = (place, arguments)
        elif int(result) >= 0:
            yield _call(start, place, name, before + arguments, int(result), process)


def _call(start: int, end: int, name: str, arguments: str, result: int, process: str) -> Call:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
    file = _FILE.match(arguments)
    path = bytes.fromhex(file[1].replace("\\x", "")) if file else texts[0]
    data = b"".join(texts)
    if name.startswith("rename"):
        data = texts[1]
    elif "write" in name or "send" in name:
        # What goes to the kernel itself is shown as a structure.
        assert len(data) >= result or "send" in name, (
            f"{name} of {result} bytes, and {len(data)} of them in the trace"
        )
        data = data[:result]
    last = arguments.rpartition(", ")[2]
    number = int(last) if last.isdecimal() else 0
    if path.startswith(b"socket:"):
        path += f" of {process}".encode()
    return Call(start, end, name, os.fsdecode(path), data, number, arguments if name == "openat" else "")


def messages_sent(calls: Sequence[Call]) -> list[tuple[int, Message]]:
    """Return what left through ZeroMQ, each with the start of the call that took its last byte along."""
    streams: dict[str, bytearray] = {}
    sent_by: dict[str, list[tuple[int, int]]] = {}
    for call in calls:
        if call.path.startswith("socket:") and call.data:
            stream = streams.setdefault(call.path, bytearray())
            stream += call.data
            sent_by.setdefault(call.path, []).append((len(stream), call.start))
    found = []
    for path, stream in streams.items():
        for end, frame in _frames(bytes(stream)):
            start = next(start for length, start in sent_by[path] if length >= end)
            try:
                found.append((start, decode(frame)))
            except WireError:
                continue  # what the daemon and its writers say to each other
    return sorted(found, key=lambda sent: sent[0])


def _frames(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the frames of messages in a stream of ZMTP 3, each with its end; other streams have none."""
    if not stream.startswith(b"\xff"):
        return
    at = _GREETING_BYTES
    while at < len(stream):
        is_long, is_command = stream[at] & 2, stream[at] & 4
        length = int.from_bytes(stream[at + 1 : at + 9], "big") if is_long else stream[at + 1]
        begin = at + (9 if is_long else 2)
        at = begin + length
        if not is_command and at <= len(stream):
            yield at, stream[begin:at]
