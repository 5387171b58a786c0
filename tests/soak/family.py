"""The soak's children: whatever way they were started, their last values must arrive.

Run as `python -m tests.soak.family METHOD ADDRESS FIRST_STREAM DIRECTORY`; METHOD is a start method of
multiprocessing, or `os.fork`. The children never flush and never close: only the hooks at the end of a
process deliver. Exits with 0 when all of them ended well.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from stats_aggregator_client import StatsClient
from tests.soak.worker import FLUSH_S, RUN, Stream
from tests.system.daemons import wait_until

METHODS = ("fork", "spawn", "forkserver", "os.fork")
CHILDREN = 2
_PIECES, _PIECE = 30, 25
CHILD_VALUES = _PIECES * _PIECE

_clients: list[StatsClient] = []  # kept, or what is collected might deliver before the end


def push(address: str, stream: int, directory: str) -> None:
    """What a child does: push with a client of its own, and return."""
    client = StatsClient(address, f"child-{stream}", RUN, flush_interval_s=0.05, close_timeout_s=FLUSH_S)
    _clients.append(client)
    _push_with(client, stream, directory)


def _push_with(client: StatsClient, stream: int, directory: str) -> None:
    pushing = Stream(client, "time", stream, Path(directory))
    for _ in range(_PIECES):
        pushing.push(_PIECE)
    # The end of a process waits for a daemon that was there once, and hardly for one that never was.
    wait_until(lambda: client.statistics().connections, "a daemon", FLUSH_S)


def _start_methods(method: str, address: str, streams: range, directory: str) -> bool:
    context = multiprocessing.get_context(method)
    children = [context.Process(target=push, args=(address, stream, directory)) for stream in streams]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children] == [0] * len(children)


def _fork_with_a_client(address: str, streams: range, directory: str) -> bool:
    """Fork in the middle of what a client sends; the children go on with what they inherited."""
    push(address, streams[0], directory)
    children = []
    for stream in streams[1:]:
        pid = os.fork()
        if not pid:
            _push_with(_clients[0], stream, directory)
            sys.exit(0)
        children.append(pid)
    return all(os.waitpid(pid, 0)[1] == 0 for pid in children)


if __name__ == "__main__":
    method, address, first, directory = sys.argv[1:]
    streams = range(int(first), int(first) + CHILDREN)
    if method == "os.fork":
        ended_well = _fork_with_a_client(address, streams, directory)
    else:
        ended_well = _start_methods(method, address, streams, directory)
    sys.exit(0 if ended_well else 1)
