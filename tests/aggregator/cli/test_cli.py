"""The command line: help that renders, mistakes that are one sentence, exit codes that mean something."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import zmq

from stats_aggregator import cli
from stats_aggregator.cli import main
from stats_aggregator.errors import DataDirectoryError, JournalFailed, SettingError, StoreFull
from stats_aggregator_client.wire import Ack, StatusReply, encode

COMMANDS = ["serve", "demo", "status", "plugins", "check"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Return what runs a command line in this process: its exit code, stdout and stderr."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stats-aggregator", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int | None)
        return code or 0, printed.out, printed.err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_renders(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"stats-aggregator {command}" in out


def test_the_help_and_the_version_of_all(run):
    _, out, _ = run("--help")
    assert all(command in out for command in COMMANDS)
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "stats-aggregator")


def test_serve_has_every_option_that_scripts_rely_on(run):
    _, out, _ = run("serve", "--help")
    for option in (
        "config", "bind", "http", "address-file", "data-dir", "results-dir", "run-id", "every", "grace",
        "writer", "add-writer", "no-writer", "durability", "auth", "close-on-stop", "strict", "drain-timeout",
    ):  # fmt: skip
        assert f"--{option}" in out


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--every", "often"], "error: --every is 'often'; right would be \"auto\""),
        (
            ["--bind", "tcp://0.0.0.0:5757"],
            "error: --bind is 'tcp://0.0.0.0:5757'; right would be a loopback",
        ),
        (["--durability", "x"], 'error: --durability is \'x\'; right would be "full" or "process" or "none"'),
        (["--config", "/no/such/file"], "error: --config is '/no/such/file'; right would be a file that can"),
        (["--writer", "consol"], "error: --writer 'consol' is no installed writer; did you mean 'console'?"),
        (["--run-id", "a\tb"], "error: --run-id is 'a\\tb'; right would be"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(run, command, arguments, text):
    code, out, err = run(command, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(text)
    assert err.count("\n") == 1


def test_a_wrong_log_level_is_told_what_is_right(run, monkeypatch):
    monkeypatch.setenv("STATS_AGGREGATOR_LOG_LEVEL", "loud")
    code, _, err = run("serve")
    assert code == 2
    assert err.startswith("error: STATS_AGGREGATOR_LOG_LEVEL is 'loud'; right would be DEBUG, INFO, ")


def test_an_unknown_option_names_itself(run):
    code, _, err = run("serve", "--evry", "1s")
    assert code == 2
    assert "--evry" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingError("--x", 1, "2"), 2),
        (JournalFailed(Path("j"), OSError(5, "Input/output error")), 1),
        (StoreFull(Path("s")), 1),
        (DataDirectoryError(Path("d"), "is in use by another daemon"), 1),
    ],
)
def test_a_mistake_is_2_and_a_directory_or_disk_that_cannot_be_used_is_1(run, monkeypatch, error, code):
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    found, _, err = run()
    assert (found, err) == (code, f"error: {error}\n")


def test_check_says_what_would_run_and_opens_nothing(run, tmp_path):
    data = tmp_path / "data"
    code, out, err = run(
        "check", "--data-dir", str(data), "--writer", "csv", "--bind", "tcp://127.0.0.1:1234"
    )
    assert (code, err) == (0, "")
    assert out == f"fine: would listen on tcp://127.0.0.1:1234; writers: csv; data in {data}\n"
    assert not data.exists()


def test_plugins_lists_the_standard_writers_as_json(run):
    code, out, _ = run("plugins", "--json")
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert code == 0
    assert {"console", "tensorboard", "csv", "jsonl"} <= set(found)
    assert (found["console"]["state"], found["csv"]["state"]) == ("loaded", "disabled")
    assert found["csv"]["distribution"] == "stats-aggregator-writers"


def test_plugins_install_takes_no_file_as_editable_and_gives_pips_exit_code(run, tmp_path):
    code, _, err = run("plugins", "install", "-e", str(tmp_path / "nothing"))
    assert code == 2
    assert "is no directory; right would be that of the plugin's setup.py" in err
    code, _, _ = run("plugins", "install", "--no-deps", str(tmp_path / "nothing.whl"))
    assert code == 1


def test_plugins_prints_a_table(run):
    code, out, _ = run("plugins")
    assert code == 0
    assert "console" in out
    assert "loaded" in out


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def test_status_of_a_dead_address_is_1_and_says_what_to_start(run):
    address = free_address()
    code, out, err = run("status", "--address", address, "--timeout", "0.2")
    assert (code, out) == (1, "")
    assert (
        err
        == f"error: no daemon answers on {address} within 0.2 s; start one with `stats-aggregator serve`\n"
    )


@pytest.mark.parametrize(("address", "code"), [("nonsense", 2), ("tcp://", 2), ("@/no/such/file", 1)])
def test_status_of_what_is_no_address_is_one_sentence(run, address, code):
    found, _, err = run("status", "--address", address, "--timeout", "0.2")
    assert found == code
    assert err.startswith("error: ")
    assert err.count("\n") == 1


NAME = "loss[/] [bold]of[/bold] q[a] 50%"
STATUS: dict[str, Any] = {
    "state": "running", "address": "tcp://127.0.0.1:1", "uptime_s": 5.0, "values_per_s": 1.5,
    "journal": {"bytes": 10, "segments": 1, "last_sync_ms": 0.1},
    "runs": [{"run": NAME, "workers": {"alive": 1, "lost": 0}, "values_per_s": 1.0, "categories": 1,
              "open_periods": 1, "waiting_values": 3}],
    "categories": [{"run": NAME, "category": NAME, "ends_by": "time", "step": 1, "periods_closed": 2,
                    "open_periods": 1, "waiting_values": 3, "series": 4}],
    "workers": [{"run": NAME, "worker": NAME, "state": "lost", "heard_s_ago": 70.0, "values": 9,
                 "values_per_s": 0.0, "duplicates": 0}],
    "writers": [{"plugin": "csv", "run": NAME, "class_name": "X", "state": "retrying", "delivered": 1,
                 "backlog": 0, "in_call_s": 0.0, "failures": 3, "retry_in_s": 2.5, "set_aside": 0,
                 "skipped": 0, "last_error": "[Errno 2] [x] went \x1b[2J\u202e\nsecond line"},
                {"plugin": "stuck", "run": NAME, "class_name": "X", "state": "in a call", "delivered": 0,
                 "backlog": 7, "in_call_s": 7200.0, "failures": 0, "retry_in_s": 0.0, "set_aside": 0,
                 "skipped": 0, "last_error": ""}],
    "plugins": [{"plugin": "csv", "distribution": "d", "state": "loaded", "why": "", "pid": 4710,
                 "restarts": 0, "in_call_s": 0.0},
                {"plugin": "bad", "distribution": "d", "state": "failed", "why": "pip install x[extra]",
                 "pid": None, "restarts": 0, "in_call_s": 0.0},
                {"plugin": "stuck", "distribution": "d", "state": "loaded", "why": "", "pid": 4711,
                 "restarts": 2, "in_call_s": 7200.0},
                {"plugin": "idle", "distribution": "d", "state": "loaded", "why": "", "pid": 4712,
                 "restarts": 0, "in_call_s": 0.0},
                {"plugin": "asleep", "distribution": "d", "state": "starting", "why": "", "pid": 4713,
                 "restarts": 0, "in_call_s": 60.0},
                {"plugin": "unwanted", "distribution": "d", "state": "disabled", "why": "", "pid": None,
                 "restarts": 0, "in_call_s": 0.0}],
    "rejected": {"name": 3},
}  # fmt: skip


class Answering:
    """A ROUTER that answers the first message with given bytes."""

    def __init__(self, reply: bytes) -> None:
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self.address = f"tcp://127.0.0.1:{self._router.bind_to_random_port('tcp://127.0.0.1')}"
        self._reply = reply
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> str:
        self._thread.start()
        return self.address

    def _answer(self) -> None:
        if self._router.poll(30_000):
            peer, _ = self._router.recv_multipart()
            self._router.send_multipart([peer, self._reply])

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._router.close(1000)
        self._context.term()


def test_status_prints_names_as_they_are(run):
    with Answering(encode(StatusReply(STATUS))) as address:
        code, out, err = run("status", "--address", address)
    assert (code, err) == (0, "")
    assert out.count(NAME) == 8
    assert f"csv in {NAME}: [Errno 2] [x] went \\x1b[2J\\u202e\n" in out
    assert "second line" not in out
    assert "bad: pip install x[extra]\n" in out


def test_status_says_of_each_writer_what_it_does_in_one_table(run):
    with Answering(encode(StatusReply(STATUS))) as address:
        _, out, _ = run("status", "--address", address)
    table = out[out.index("\nwriters") :].splitlines()[2:]
    rows = [re.split("  +", line.replace(NAME, "run").strip()) for line in table[:7]]
    assert rows == [
        ["writer", "run", "state", "delivered", "backlog", "restarts", "pid"],
        ["csv", "run", "retrying: 3 failures, next attempt in 2 s", "1", "0", "0"],
        ["stuck", "run", "in a call for 2.0 h", "0", "7", "2", "4711"],
        ["bad", "not loaded", "0", "0", "0"],
        ["asleep", "starting: being loaded for 60 s", "0", "0", "0", "4713"],
        ["idle", "waits for a run", "0", "0", "0"],
        ["csv in run: [Errno 2] [x] went \\x1b[2J\\u202e"],
    ]


@pytest.mark.parametrize(
    ("state", "code"), [("running", 0), ("waiting for room on the disk", 1), ("stopping", 1)]
)
def test_status_is_a_health_check_and_prints_json(run, tmp_path, state, code):
    with Answering(encode(StatusReply({**STATUS, "state": state}))) as address:
        (tmp_path / "address").write_text(address + "\n")
        found, out, _ = run("status", "--json", "--address", f"@{tmp_path / 'address'}")
    assert found == code
    assert json.loads(out)["state"] == state


@pytest.mark.parametrize("reply", [b"\xc1", encode(Ack(b"s" * 16, 0, 0, 0, ()))])
def test_something_else_that_listens_there_is_no_daemon(run, reply):
    with Answering(reply) as address:
        code, _, err = run("status", "--address", address)
    assert code == 1
    assert "no daemon answers" in err


@pytest.mark.parametrize("mistake", ["address file", "bind"])
def test_a_real_process_ends_with_one_sentence_and_leaves_nothing_running(tmp_path, mistake):
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options, text = {
            "address file": (["--address-file", str(tmp_path / "file" / "x")], "error: --address-file is "),
            "bind": (
                ["--bind", f"tcp://127.0.0.1:{taken.getsockname()[1]}"],
                "error: cannot listen on tcp://",
            ),
        }[mistake]
        command = [sys.executable, "-m", "stats_aggregator", "serve", "--bind", "tcp://127.0.0.1:0", *options]
        done = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(text)
    assert done.stderr.count("\n") == 1
