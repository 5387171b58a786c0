"""Pages: /metrics, /healthz and /readyz over HTTP, each request on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from .desk import Desk
from .figures import is_ready

log = logging.getLogger(__name__)

_MAX_REQUESTS = 32
"""Requests at a time; who comes past them is hung up on."""
_TIMEOUT_S = 5.0
"""How long one may be silent."""
_MAX_TALK_S = 15.0
"""How long one may take in all, however it spreads its bytes."""


class Reply(NamedTuple):
    """What a page says."""

    status: HTTPStatus
    content_type: str
    body: bytes


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


class Pages:
    """What each path answers; `collect` yields all metrics."""

    def __init__(self, desk: Desk, collect: Callable[[], Iterator[Metric]]) -> None:
        self._desk = desk
        # Not by registering, which would collect once to learn the names.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collected(collect))
        self._pages: dict[str, Callable[[str], Reply]] = {
            "/metrics": self._metrics,
            "/healthz": self._health,
            "/readyz": self._readiness,
        }

    def answer(self, path: str, accept: str) -> Reply:
        """Return what stands at `path`, in a form that `accept` (the header) allows."""
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return _text(HTTPStatus.NOT_FOUND, "there are: " + ", ".join(self._pages))
        return page(accept)

    def _metrics(self, accept: str) -> Reply:
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it asks for a version that is no number
            encode, content_type = choose_encoder("")
        return Reply(HTTPStatus.OK, content_type, encode(self._registry))

    def _health(self, accept: str) -> Reply:
        """Say whether the daemon answers at all."""
        if self._desk.answer().status is None:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, "the daemon does not answer")
        return _text(HTTPStatus.OK, "ok")

    def _readiness(self, accept: str) -> Reply:
        """Say whether the daemon takes values."""
        status = self._desk.answer().status
        if status is None:
            return self._health(accept)
        return _text(HTTPStatus.OK if is_ready(status) else HTTPStatus.SERVICE_UNAVAILABLE, status["state"])


def _text(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, "text/plain; charset=utf-8", text.encode() + b"\n")


class PageServer(ThreadingHTTPServer):
    """Answers on a socket that somebody else listens on, a bounded number of requests at a time."""

    daemon_threads = True
    max_talk_s = _MAX_TALK_S

    def __init__(self, listening: socket.socket, pages: Pages) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.pages = pages
        self._free = threading.Semaphore(_MAX_REQUESTS)
        self._lock = threading.Lock()
        self._ends_s: dict[socket.socket, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the request a thread, where one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer on that thread."""
        with self._lock:
            self._ends_s[request] = time.monotonic() + self.max_talk_s
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def shutdown_request(self, request: Any) -> None:
        """Close the connection."""
        with self._lock:
            self._ends_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on who takes too long in all; called some times a second."""
        now_s = time.monotonic()
        with self._lock:
            for request in [request for request, end_s in self._ends_s.items() if end_s < now_s]:
                del self._ends_s[request]
                with suppress(OSError):  # it has just hung up itself
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in the log what went wrong; who hangs up, or says nothing, has done so to himself."""
        log.debug("a request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = _TIMEOUT_S
    server_version, sys_version = "stats-aggregator", ""

    def do_GET(self) -> None:
        self.wfile.write(self._head().body)

    def do_HEAD(self) -> None:
        self._head()

    def _reply(self) -> Reply:
        try:
            return self.server.pages.answer(self.path, self.headers.get("Accept", ""))
        except Exception:
            log.exception("the page %s cannot be made", self.path)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "the page cannot be made; see the daemon's log")

    def _head(self) -> Reply:
        """Send all but the body of the reply, and return it."""
        reply = self._reply()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        return reply

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing of each request."""
