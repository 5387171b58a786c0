"""Settings are checked where they are given, and the errors name them."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stats_aggregator_api import name_fault
from stats_aggregator_client import SettingError, StatsClient, StatsClientError
from stats_aggregator_client.naming import child_worker, default_worker, process_info, world_size
from stats_aggregator_client.settings import DEFAULT_ADDRESS, Settings, make_settings, resolve

NUMBERS: dict[str, Any] = {
    "buffer_bytes": 64 << 20,
    "flush_interval_s": 0.5,
    "ack_timeout_s": 10.0,
    "close_timeout_s": 5.0,
    "on_full": "fold",
}


def settings(*args: Any, environment: dict[str, str] | None = None, **changes: Any) -> Settings:
    values = [*args, None, None, None][:3]
    return make_settings(*values, **{**NUMBERS, **changes}, environment=environment or {})


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:5757", "tcp://node-3.cluster:1", "tcp://[::1]:5757", "tcp://[fe80::1%eth0]:65535",
     "ipc:///tmp/socket", "@/shared/address", "off"],
)  # fmt: skip
def test_addresses_of_every_form_are_taken(address: str) -> None:
    assert settings(address).address == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:5757", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536", "tcp://*:5757",
     "tcp://:5757", "http://host:1", "ipc://", "@", "tcp://a b:1", "inproc://x", 5757],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_is(address: Any) -> None:
    with pytest.raises(SettingError, match="tcp://HOST:PORT") as caught:
        settings(address)
    assert (caught.value.setting, caught.value.value) == ("address", address)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, StatsClientError)


@pytest.mark.parametrize("address", ["off", "OFF", "Off"])
def test_off_is_off_in_letters_of_any_size(address: str) -> None:
    assert settings(environment={"STATS_AGGREGATOR_ADDRESS": address}).off
    with StatsClient(address) as client:
        client.reporter("c").add_stat("k", 1.0)
        assert client.statistics().state == "off"


def test_the_environment_is_asked_where_no_argument_is_given() -> None:
    environment = {
        "STATS_AGGREGATOR_ADDRESS": "tcp://a:1",
        "STATS_AGGREGATOR_WORKER": "w",
        "STATS_AGGREGATOR_RUN_ID": "r",
    }
    found = settings(environment=environment)
    assert (found.address, found.worker, found.run) == ("tcp://a:1", "w", "r")
    found = settings("tcp://b:2", "v", "q", environment=environment)
    assert (found.address, found.worker, found.run) == ("tcp://b:2", "v", "q")
    found = settings(environment={"STATS_AGGREGATOR_ADDRESS": ""})
    assert (found.address, found.worker, found.run) == (DEFAULT_ADDRESS, None, None)


@pytest.mark.parametrize("variable", ["ADDRESS", "WORKER", "RUN_ID"])
def test_an_error_names_the_variable_that_holds_the_value(variable: str) -> None:
    with pytest.raises(SettingError, match=f"STATS_AGGREGATOR_{variable} is 'a\\\\nb'"):
        settings(environment={f"STATS_AGGREGATOR_{variable}": "a\nb"})


@pytest.mark.parametrize(
    ("setting", "value"),
    [("buffer_bytes", 1000), ("buffer_bytes", 1e9), ("flush_interval_s", 0), ("flush_interval_s", "1"),
     ("ack_timeout_s", -1), ("ack_timeout_s", float("nan")), ("close_timeout_s", -0.1),
     ("close_timeout_s", True), ("on_full", "keep"), ("on_full", None), ("on_full", ["fold"])],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=setting):
        settings(**{setting: value})


def test_a_client_that_cannot_be_right_raises_at_once() -> None:
    with pytest.raises(SettingError, match="worker is ''"):
        StatsClient(worker="")


def test_a_reporter_of_a_wrong_environment_raises_at_once() -> None:
    script = "from stats_aggregator_client import StatsReporter; StatsReporter('c')"
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"STATS_AGGREGATOR_ADDRESS": "localhost:5757"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 1
    assert "STATS_AGGREGATOR_ADDRESS is 'localhost:5757'; an address is tcp://HOST:PORT" in found.stderr


def test_an_address_file_says_an_address_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "address"
    assert resolve(f"@{file}") is None
    for content, address in (
        ("tcp://a:1\n", "tcp://a:1"),
        ("", None),
        ("off", None),
        ("@x", None),
        ("a:1", None),
    ):
        file.write_text(content)
        assert resolve(f"@{file}") == address
    assert resolve("tcp://a:1") == "tcp://a:1"


def test_the_default_worker_is_the_host_and_the_rank_or_the_process() -> None:
    by_name = default_worker({})
    assert by_name.endswith(f"-{multiprocessing.current_process().name}")
    assert default_worker({"RANK": "3"}).endswith("-3")
    assert default_worker({"RANK": "3", "SLURM_PROCID": "7"}).endswith("-7")
    assert name_fault(default_worker({"RANK": "x" * 600 + "\n"})) is None
    assert default_worker({"RANK": "a\n\u202eb"}).endswith("-a__b")


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({}, None),
        ({"WORLD_SIZE": "8"}, 8),
        ({"SLURM_NTASKS": "16", "WORLD_SIZE": "8"}, 8),
        ({"WORLD_SIZE": "0", "SLURM_NTASKS": " 16 "}, 16),
        ({"WORLD_SIZE": "", "SLURM_NTASKS": "2(x3)", "OMPI_COMM_WORLD_SIZE": "4", "PMI_SIZE": "5"}, 4),
        ({"PMI_SIZE": "5"}, 5),
        ({"WORLD_SIZE": "-3"}, None),
        ({"WORLD_SIZE": "1.5"}, None),
        ({"WORLD_SIZE": "\u0663"}, None),  # a digit of another script
        ({"WORLD_SIZE": "9" * 19}, None),
        ({"WORLD_SIZE": "9" * 5000}, None),
    ],
)
def test_the_world_size_is_the_first_positive_number_that_a_launcher_gives(
    environment: dict[str, str], size: int | None
) -> None:
    assert world_size(environment) == size
    info = process_info("1.0", environment, ["/a/train.py"], is_child=False)
    assert info.get("world_size") == size
    assert "world_size" not in process_info("1.0", environment, ["/a/train.py"], is_child=True)
    assert len(info) <= 8


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/home/me/train.py", "--lr", "1"], "train.py"),
        (["/lib/mlagents/__main__.py"], "mlagents"),
        (["-c"], "-c"),
        (["/a/\udcff.py"], "?.py"),
        ([""], None),
        ([], None),
    ],
)
def test_the_command_is_the_scripts_name_as_text(arguments: list[str], name: str | None) -> None:
    assert process_info("1.0", {}, arguments, is_child=False).get("command") == name


def test_a_childs_name_has_a_suffix_and_stays_a_name() -> None:
    own = multiprocessing.current_process().name
    assert child_worker("w", "another").endswith(f"w-{own}")
    assert child_worker("w", own)[2:].isdigit()
    assert name_fault(child_worker("ä" * 256, own)) is None
