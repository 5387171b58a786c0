"""PageProcess: its address is said, is kept, and can be had again at once."""

from __future__ import annotations

import socket
import threading

import pytest

from stats_aggregator.errors import BindError
from stats_aggregator.server import page_process
from stats_aggregator.server.page_process import PageProcess


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_port_0_takes_a_free_port_and_tells_which(host: str) -> None:
    page = PageProcess(f"{host}:0")
    found, port = page.address.rsplit(":", 1)
    assert (found, page.describe()["pid"]) == (host, None)
    socket.create_connection(("127.0.0.1", int(port)), timeout=30).close()
    page.close()
    page.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=30)


def test_an_address_in_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_process, "_FREE_WITHIN_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            BindError, match=f"cannot listen on {address}: Address already in use; choose another --http"
        ):
            PageProcess(address)


def test_an_address_that_is_given_free_a_moment_later_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        thread = threading.Timer(0.2, other.close)
        thread.start()
        page = PageProcess(address)
        thread.join()
    assert page.address == address
    page.close()


def test_a_name_that_nobody_has_is_said() -> None:
    with pytest.raises(BindError, match=r"cannot listen on no\.such\.invalid:0: .*choose another --http"):
        PageProcess("no.such.invalid:0")
