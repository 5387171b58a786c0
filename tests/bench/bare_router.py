"""BareRouter: a ROUTER that answers each message with an ACK and does nothing else.

`python -m tests.bench.bare_router` prints its address, and serves until it is killed. No daemon in Python can
take more.
"""

from __future__ import annotations

import os
import subprocess
import sys

import zmq

from stats_aggregator_client.wire import Ack, Hello, Welcome, decode, encode

_CREDIT_BYTES = 64 << 20


class BareRouter:
    """One as a child process."""

    def __enter__(self) -> BareRouter:
        command = [sys.executable, "-m", "tests.bench.bare_router"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _serve() -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.setsockopt(zmq.BACKLOG, 4096)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    sessions: dict[bytes, bytes] = {}
    taken: dict[bytes, int] = {}
    while True:
        peer, frame = socket.recv(), socket.recv()
        session = sessions.get(peer)
        if session is None:
            hello = decode(frame)
            assert isinstance(hello, Hello)
            sessions[peer], taken[peer] = hello.session, 0
            reply = encode(Welcome(hello.session, os.urandom(16), "w", "r", 0, _CREDIT_BYTES, 0, ()))
        else:
            taken[peer] += 1
            reply = encode(Ack(session, taken[peer], _CREDIT_BYTES, 0, ()))
        socket.send_multipart((peer, reply))


if __name__ == "__main__":
    _serve()
