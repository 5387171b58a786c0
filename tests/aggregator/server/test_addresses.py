"""Addresses: loopback is free, everything else needs a word."""

from __future__ import annotations

import pytest

from stats_aggregator.errors import BindError, SettingError
from stats_aggregator.server.addresses import check_bind, check_http, local_address
from stats_aggregator.server.ingress import Ingress

CLOSED = ["tcp://127.0.0.1:5757", "tcp://127.1.2.3:0", "tcp://localhost:5757", "tcp://LocalHost:1", "tcp://[::1]:5757",
          "ipc:///tmp/x.ipc", "ipc://@abstract"]  # fmt: skip
OPEN = ["tcp://0.0.0.0:5757", "tcp://*:5757", "tcp://[::]:5757", "tcp://10.0.0.1:5757", "tcp://node17:5757",
        "tcp://eth0:5757", "tcp://127.1:5757", "tcp://localhost.example:1", "tcp://128.0.0.1:1", "tcp://[fe80::1]:1",
        "tcp://[::ffff:10.0.0.1]:1"]  # fmt: skip
NONE = ["", "5757", ":5757", "127.0.0.1:5757", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1", "tcp://::1:5757", "tcp://127.0.0.1:57570000", "udp://127.0.0.1:1", "ipc://", "inproc://x",
        "http://127.0.0.1:80", "tcp://127.0.0.1:5757/x", "tcp://127.0.0.1:1;127.0.0.1:2", " tcp://127.0.0.1:1",
        "tcp://127.0.0.1:5757\n", "tcp://:5757"]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_loopback_and_ipc_need_no_word(address):
    check_bind("--bind", address, "keys")


@pytest.mark.parametrize("address", OPEN)
def test_what_others_could_reach_is_refused_with_the_sentence_that_helps(address):
    with pytest.raises(SettingError, match=r"open to other machines.*add --auth off") as caught:
        check_bind("--bind", address, "keys")
    assert str(caught.value).startswith(f"--bind is {address!r}")
    check_bind("--bind", address, "off")


@pytest.mark.parametrize("address", NONE)
@pytest.mark.parametrize("auth", ["keys", "off"])
def test_what_is_no_address_is_told_how_one_looks(address, auth):
    with pytest.raises(SettingError, match=r"tcp://HOST:PORT.*or ipc://PATH"):
        check_bind("--bind", address, auth)


@pytest.mark.parametrize("address", [address for address in CLOSED if address.startswith("tcp:")])
def test_pages_on_loopback_need_no_word(address):
    check_http("--http", address.removeprefix("tcp://"), "keys")


@pytest.mark.parametrize("address", OPEN)
def test_pages_that_others_could_read_are_refused_with_the_same_sentence(address):
    where = address.removeprefix("tcp://")
    with pytest.raises(SettingError, match=r"open to other machines, and .* add --auth off") as caught:
        check_http("--http", where, "keys")
    assert str(caught.value).startswith(f"--http is {where!r}")
    check_http("--http", where, "off")


@pytest.mark.parametrize(
    "address", ["5758", ":5758", "127.0.0.1", "http://127.0.0.1:1", "127.0.0.1:65536", "::1:1"]
)
@pytest.mark.parametrize("auth", ["keys", "off"])
def test_what_is_no_address_of_pages_is_told_how_one_looks(address, auth):
    with pytest.raises(SettingError, match=r"right would be HOST:PORT .* such as 127\.0\.0\.1:5758"):
        check_http("--http", address, auth)


def test_who_listens_everywhere_is_reached_by_loopback_on_the_same_machine():
    assert local_address("tcp://0.0.0.0:1") == "tcp://127.0.0.1:1"
    assert local_address("tcp://[::]:1") == "tcp://[::1]:1"
    assert local_address("tcp://10.0.0.1:1") == "tcp://10.0.0.1:1"


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://*:0", "tcp://0.0.0.0:0"]
)
def test_port_0_takes_a_free_port_and_tells_which(address):
    ingress = Ingress(address)
    try:
        assert int(ingress.address.rpartition(":")[2]) > 0
        with pytest.raises(BindError, match="is another daemon running there"):
            Ingress(ingress.address)
    finally:
        ingress.close()
        ingress.close()


def test_an_interface_that_is_not_there_is_said():
    with pytest.raises(BindError, match="cannot listen on tcp://nosuchinterface0:0"):
        Ingress("tcp://nosuchinterface0:0")
