"""A socket that answers STATUS as a daemon's does, with what the test says of the daemon."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import zmq

from stats_aggregator_client.wire import Status, StatusReply, decode, encode


class Answering:
    """Answers with `status` from a thread of its own, and counts in `asked` how often; a context manager."""

    def __init__(self, status: Mapping[str, Any] | None) -> None:
        self.status = status
        self.asked = 0
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind("tcp://127.0.0.1:0")
        self._end = self._context.socket(zmq.PAIR)
        self._end.bind("inproc://end")
        self._thread = threading.Thread(target=self._work)
        self.address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)

    def _work(self) -> None:
        with self._router as router, self._context.socket(zmq.PAIR) as end:
            end.connect("inproc://end")
            poller = zmq.Poller()
            poller.register(router, zmq.POLLIN)
            poller.register(end, zmq.POLLIN)
            while end not in dict(poller.poll()):
                peer, frame = router.recv_multipart()
                assert isinstance(decode(frame), Status)
                self.asked += 1
                if self.status is not None:
                    router.send_multipart([peer, encode(StatusReply(self.status))])

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.send(b"")
        self._thread.join(30)
        self._end.close()
        self._context.term()
