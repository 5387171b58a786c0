"""Pages: what each path answers, and that who says nothing, or asks often, hinders nobody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from stats_aggregator import failpoints
from stats_aggregator.metrics.desk import Desk
from stats_aggregator.metrics.figures import figures
from stats_aggregator.metrics.pages import _MAX_REQUESTS, Pages, PageServer, _Handler
from stats_aggregator.server.status import describe, describe_writers
from stats_aggregator.store.outbox import Outbox, PluginRow, WriterKey
from stats_aggregator_client.wire import RejectCode
from tests.aggregator.clocks import START_NS
from tests.aggregator.metrics.answering import Answering
from tests.aggregator.peers import SERIES, Core, Worker

WAIT_S = 30.0


@contextmanager
def served(desk: Desk, collect: Any = None) -> Iterator[tuple[str, int]]:
    """Serve the pages; yield host and port."""
    pages = Pages(desk, collect or (lambda: figures(desk.answer())))
    with PageServer(socket.create_server(("127.0.0.1", 0)), pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.socket.getsockname()
        finally:
            server.shutdown()
            thread.join(WAIT_S)


def get(where: tuple[str, int], path: str, accept: str = "") -> tuple[int, str, str]:
    """Return status, content type and body."""
    connection = HTTPConnection(*where, timeout=WAIT_S)
    try:
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        reply = connection.getresponse()
        return reply.status, reply.getheader("Content-Type", ""), reply.read().decode()
    finally:
        connection.close()


def told(core: Core) -> dict[str, Any]:
    outbox = Outbox(core.store.database, core.clock.now_ns)
    found = describe(core.engine, "tcp://127.0.0.1:1", START_NS, core.clock.now_ns())
    return {**found, **describe_writers(outbox, {}, core.clock.now_ns())}


def test_who_waits_for_room_on_its_disk_is_well_and_not_ready(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        worker = Worker("w", "run")
        core.handle(worker.hello())
        failpoints.arm("journal.write.before=error(ENOSPC)")
        try:
            core.handle(worker.batch("c", SERIES))
            stalled = told(core)
        finally:
            failpoints.arm("")
        core.tick()
        running = told(core)
    with Answering(stalled) as daemon, served(Desk(daemon.address)) as where:
        assert get(where, "/healthz")[::2] == (200, "ok\n")
        assert get(where, "/readyz?verbose")[::2] == (503, "waiting for room on the disk\n")
        assert "stats_aggregator_ready 0.0\n" in get(where, "/metrics")[2]
    with Answering(running) as daemon, served(Desk(daemon.address)) as where:
        assert get(where, "/readyz")[::2] == (200, "running\n")
        assert "stats_aggregator_ready 1.0\n" in get(where, "/metrics")[2]


def test_a_daemon_that_does_not_answer_is_said_to_be_down() -> None:
    with Answering(None) as daemon, served(Desk(daemon.address, timeout_s=0.05)) as where:
        assert get(where, "/healthz")[::2] == (503, "the daemon does not answer\n")
        assert get(where, "/readyz")[::2] == (503, "the daemon does not answer\n")
        status, _, body = get(where, "/metrics")
    assert status == 200
    assert "stats_aggregator_up 0.0\n" in body
    assert "stats_aggregator_values_total" not in body


def test_a_path_that_is_not_there_is_told_those_that_are() -> None:
    with Answering(None) as daemon, served(Desk(daemon.address)) as where:
        assert get(where, "/")[::2] == (404, "there are: /metrics, /healthz, /readyz\n")
        assert daemon.asked == 0


@pytest.mark.parametrize("line", ["GET http://[ HTTP/1.0", "GET //[ HTTP/1.0", "GET ? HTTP/1.0"])
def test_a_path_without_sense_is_not_there_and_nothing_to_log(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Answering(None) as daemon, served(Desk(daemon.address)) as where:
        assert said_to(where, f"{line}\r\n\r\n").startswith("HTTP/1.0 404 Not Found\r\n")
    assert caplog.text == ""


def test_who_asks_for_the_head_alone_gets_that() -> None:
    with Answering({"state": "running"}) as daemon, served(Desk(daemon.address)) as where:
        head = said_to(where, "HEAD /readyz HTTP/1.0\r\n\r\n")
    assert head.startswith("HTTP/1.0 200 OK\r\n")
    assert "Content-Length: 8\r\n" in head
    assert head.endswith("\r\n\r\n")


def said_to(where: tuple[str, int], request: str) -> str:
    with socket.create_connection(where, timeout=WAIT_S) as connection:
        connection.sendall(request.encode())
        return connection.makefile("rb").read().decode()


def test_who_sends_byte_by_byte_for_ever_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PageServer, "max_talk_s", 0.5)
    with Answering(None) as daemon, served(Desk(daemon.address)) as where:
        assert is_hung_up_on_though_it_speaks(where)


def is_hung_up_on_though_it_speaks(where: tuple[str, int]) -> bool:
    deadline_s = time.monotonic() + WAIT_S
    with socket.create_connection(where, timeout=0.05) as connection:
        while time.monotonic() < deadline_s:
            try:
                connection.sendall(b"G")
                return connection.recv(1) == b""
            except TimeoutError:
                continue  # it is listened to still
            except OSError:
                return True
    return False


def test_an_accept_header_without_sense_gets_the_plain_format(tmp_path: Path) -> None:
    with Core(tmp_path / "core") as core:
        status = told(core)
    with Answering(status) as daemon, served(Desk(daemon.address)) as where:
        status, _, body = get(where, "/metrics", "text/plain; version=x.y")
    assert (status, "stats_aggregator_up 1.0\n" in body) == (200, True)


def test_a_page_that_cannot_be_made_costs_its_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    def collect() -> Iterator[Any]:
        raise RuntimeError("no figures")

    with Answering({"state": "running"}) as daemon, served(Desk(daemon.address), collect) as where:
        assert get(where, "/metrics")[::2] == (500, "the page cannot be made; see the daemon's log\n")
        assert get(where, "/healthz")[0] == 200
    assert "no figures" in caplog.text


@pytest.mark.parametrize(
    ("accept", "parse"), [("", plain), ("application/openmetrics-text; version=1.0.0", openmetrics)]
)
def test_both_formats_of_prometheus_tell_every_figure(tmp_path: Path, accept: str, parse: Any) -> None:
    run = 'quotes " backslash \\ and Grüße'
    with Core(tmp_path / "core") as core:
        worker = Worker("w", run)
        core.handle(worker.hello())
        batch = worker.batch("c", SERIES, core.clock.now_ns(), lost=7, uncertain=2)
        core.handle(batch, batch, batch, (b"?", b"?"))
        outbox = Outbox(core.store.database, core.clock.now_ns)
        outbox.begin([PluginRow("csv", "d", "1", "loaded", "", 1000, 10**15)], 0)
        for ended in (run, "ended"):
            outbox.open_writer(WriterKey("csv", ended, 0), "Csv")
        outbox.retries(WriterKey("csv", run, 0), 4, core.clock.now_ns(), "OSError: no")
        outbox.closed(WriterKey("csv", "ended", 0))
        core.store.add_property(run, "c", "hyperparameters", {"lr": 1.0}, b"s" * 16, 1)
        status = told(core)
    with Answering(status) as daemon, served(Desk(daemon.address)) as where:
        code, content_type, body = get(where, "/metrics", accept)
    assert code == 200
    assert content_type.startswith(accept.split(";")[0] or "text/plain")
    samples = {
        (sample.name.removeprefix("stats_aggregator_"), *sample.labels.values()): sample.value
        for family in parse(body)
        for sample in family.samples
    }
    expected = {
        ("up",): 1, ("batches_total",): 1, ("values_total",): 2, ("values_lost_total",): 7,
        ("values_uncertain_total",): 2, ("duplicates_total",): 2, ("messages_total", "batch"): 3,
        ("open_periods",): 1, ("series",): 1, ("waiting_values",): 2, ("categories",): 1,
        ("sessions", "alive"): 1, ("sessions", "lost"): 0,
        ("journal_bytes",): status["journal"]["bytes"],
        ("journal_sync_seconds_count",): status["journal"]["syncs"],
        ("store_readable",): 1,
    }  # fmt: skip
    assert {name: samples[name] for name in expected} == expected
    rejected = {name[1]: value for name, value in samples.items() if name[0] == "rejected_total"}
    assert rejected.keys() >= {code.name.lower() for code in RejectCode}
    assert sum(rejected.values()) == 1
    writers = {name[0]: value for name, value in samples.items() if set(name[1:]) == {"csv", run, "0"}}
    assert (writers["writer_backlog"], writers["writer_failures"]) == (1, 4)
    # A writer that has all of a run that has ended has nothing to say.
    assert [name for name in samples if "ended" in name] == []


def test_however_many_ask_the_daemon_is_asked_once_a_second() -> None:
    with Answering({"state": "running"}) as daemon:
        desk = Desk(daemon.address)
        began_s = time.monotonic()
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda _: desk.answer().status, range(2000)))
        elapsed_s = time.monotonic() - began_s
        assert answers == [{"state": "running"}] * 2000
        assert 1 <= daemon.asked <= elapsed_s + 1


def test_who_connects_and_says_nothing_hinders_nobody_but_those_past_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Handler, "timeout", 4 * WAIT_S)  # they are not hung up on for their silence

    def silent(where: tuple[str, int], number: int) -> list[socket.socket]:
        return [socket.create_connection(where, timeout=WAIT_S) for _ in range(number)]

    def wait_until_well(where: tuple[str, int]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                assert get(where, "/healthz")[0] == 200
                return
            except OSError:  # threads of connections that were closed are about to see it
                assert time.monotonic() < deadline_s

    with Answering({"state": "running"}) as daemon, served(Desk(daemon.address)) as where:
        connected = silent(where, _MAX_REQUESTS)
        with socket.create_connection(where, timeout=WAIT_S) as refused:
            assert refused.recv(1) == b""
        for connection in connected[1:]:
            connection.close()
        wait_until_well(where)
        connected += silent(where, _MAX_REQUESTS // 2)
        wait_until_well(where)
        for connection in connected:
            connection.close()
