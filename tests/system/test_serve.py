"""`serve` as a user meets it: what it prints, refuses, keeps and says at its end."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from stats_aggregator_client import StatsClient, StatsReporter
from stats_aggregator_client.wire import Nack, Reject, decode
from tests.system.daemons import Daemon, wait_until

SERVE = [sys.executable, "-m", "stats_aggregator", "serve"]


def _refusal(tmp_path: Path, *options: str, code: int = 2) -> str:
    found = subprocess.run(
        [*SERVE, "--data-dir", str(tmp_path / "data"), *options], capture_output=True, text=True, timeout=30
    )
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.168.1.5:5757", "tcp://eth0:1"]
)
def test_an_open_address_is_refused_with_the_sentence_that_helps(tmp_path: Path, address: str) -> None:
    assert "--auth off" in _refusal(tmp_path, "--bind", address)


def test_an_open_address_is_taken_with_auth_off(tmp_path: Path) -> None:
    path = tmp_path / "address"
    options = ["--auth", "off", "--bind", "tcp://0.0.0.0:0", "--address-file", str(path), "--writer", "jsonl"]
    with Daemon(tmp_path, *options) as daemon:
        port = daemon.address.rpartition(":")[2]
        # Workers elsewhere cannot connect to "everywhere": the file names this host.
        assert path.read_text() == f"tcp://{socket.gethostname()}:{port}\n"
        with StatsClient(f"tcp://127.0.0.1:{port}", run="run") as client:
            client.reporter("c").add_stat("k", 1.0)
            assert client.flush(30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--every", "often"], ["--every", "'often'", "10s"]),
        (["--grace", "2"], ["--grace", "'2'", "500ms"]),
        (["--writer", "tensorbord"], ["tensorbord", "did you mean 'tensorboard'"]),
        (["--bind", "localhost:5757"], ["--bind", "tcp://HOST:PORT"]),
        (["--http", "0.0.0.0:5758"], ["--http", "open to other machines", "add --auth off"]),
        (["--durability", "some"], ["--durability", "full"]),
        (["--run-id", "a\nb"], ["--run-id", "control characters"]),
        (["--address-file", "/"], ["--address-file", "'/'", "a file"]),
        (["--results-dir", "/dev/null"], ["--results-dir", "'/dev/null'", "a directory"]),
        (["--config", "missing.toml"], ["--config", "missing.toml", "No such file"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_would_be_right(
    tmp_path: Path, options: list[str], words: list[str]
) -> None:
    text = _refusal(tmp_path, *options)
    assert [word for word in words if word not in text] == []


def test_a_data_directory_in_use_is_refused_with_the_holders_process(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        assert f"process {daemon.pid}" in _refusal(tmp_path, "--bind", "tcp://127.0.0.1:0", code=1)


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path / "one", "--writer", "jsonl") as daemon:
        text = _refusal(tmp_path, "--bind", daemon.address)
    assert daemon.address in text
    assert "another daemon" in text


def test_open_manual_periods_wait_for_the_next_start_and_the_exit_code_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "manual", "--writer", "jsonl") as daemon:
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("c").add_stats("k", [1.0, 2.0])
            assert client.flush(30)
        assert daemon.stop() == 3
        assert "2 values wait" in daemon.log.read_text()
        daemon.start()
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("c").add_stat("k", 6.0)
            client.reporter("c").write_stats(9)
            assert client.flush(30)
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    assert (line["stats"]["k"]["num"], line["stats"]["k"]["mean"], line["step"]) == (3, 3.0, 9)


def test_time_periods_close_when_the_daemon_stops(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "1h", "--writer", "jsonl", "--writer", "csv") as daemon:
        with StatsClient(daemon.address, run="run", worker="w") as client:
            client.reporter("c").add_stats("k", [1.0, 2.0])
            assert client.flush(30)
        assert daemon.stop() == 0
        (line,) = daemon.summaries("run")
    assert line["stats"]["k"]["sum"] == 3.0
    assert (daemon.results / "run" / "c.csv").read_text().count("\n") == 2


def test_close_on_stop_closes_manual_periods_too(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "manual", "--writer", "jsonl", "--close-on-stop") as daemon:
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("c").add_stat("k", 5.0)
            assert client.flush(30)
        assert daemon.stop() == 0
        assert [line["stats"]["k"]["value"] for line in daemon.summaries("run")] == [5.0]


def test_the_run_id_is_kept_until_a_clean_stop(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon:
        first = daemon.status()["run"]
        daemon.kill()
        assert daemon.start().status()["run"] == first
        assert daemon.stop() == 0
        assert daemon.start().status()["run"] != first


def test_an_address_file_leads_workers_to_a_free_port(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "address"
    client = StatsClient(f"@{path}", run="run")
    client.reporter("c").add_stat("k", 1.0)
    with Daemon(tmp_path, "--address-file", str(path), "--writer", "jsonl") as daemon:
        assert path.read_text() == daemon.address + "\n"
        assert client.close(30)
        daemon.stop()
        assert not path.exists()


def test_garbage_is_counted_and_answered_and_stops_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "jsonl") as daemon, zmq.Context() as context:
        stranger = context.socket(zmq.DEALER)
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(daemon.address)
        session = b"s" * 16
        garbage = [b"", b"\xc1", os.urandom(100), b"\x93\x01\x02", b"\x80", bytes(2_000_000)]
        for frame in garbage:
            stranger.send(frame)
        stranger.send_multipart([b"two", b"frames"])
        # A BATCH of a session that never said HELLO, and one of another version.
        stranger.send(b"\x93\x02\x02\xc4\x10" + session)
        reply = decode(stranger.recv()) if stranger.poll(30_000) else None
        assert isinstance(reply, Reject)
        assert (reply.session, "version" in reply.text) == (session, True)
        stranger.send(b"\x93\x01\x07\xc4\x10" + session)
        assert stranger.poll(30_000)
        assert decode(stranger.recv()) == Nack(session, 0)
        rejected = wait_until(lambda: daemon.status()["rejected"], "counts of what was refused")
        assert (rejected["frames"], rejected["version"]) == (1, 1)
        assert rejected["malformed"] >= 4
        with StatsClient(daemon.address, run="run") as client:
            client.reporter("c").add_stat("k", 1.0)
            assert client.flush(30)
        stranger.close()
        assert daemon.log.read_text().count("dropped") < 10
        assert daemon.stop() == 0


def test_hostile_names_stay_inside_the_results_directory(tmp_path: Path) -> None:
    options = [option for name in ("jsonl", "csv", "tensorboard") for option in ("--writer", name)]
    with Daemon(tmp_path, *options) as daemon:
        for number, run in enumerate(["..", "/etc/x", "a/../../b", "CON", "x" * 512, "ü/é"]):
            with StatsClient(daemon.address, run=run) as client:
                reporter = client.reporter(
                    ["../../up", "/abs", "..", "summaries.jsonl", "y" * 512, "."][number]
                )
                reporter.add_stat("k", 1.0)
                reporter.write_stats(1)
                assert client.flush(30)
        assert daemon.stop() == 0
    top = {path.name for path in tmp_path.iterdir()}
    assert top == {"data", "results", "serve.log"}
    runs = list(daemon.results.iterdir())
    assert len(runs) == 6
    assert all(run.is_dir() and (run / "summaries.jsonl").is_file() for run in runs)


def test_what_a_writer_says_stands_in_the_log_in_the_daemon_s_own_form(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--writer", "tensorboard") as daemon:
        with StatsClient(daemon.address, worker="w", run="run") as client:
            reporter = StatsReporter("c", client)
            for _ in range(2):
                reporter.add_stat("x", 1.0)
                reporter.write_stats(10)
        wait_until(lambda: "stands still" in daemon.log.read_text(), "the writer's warning")
    lines = daemon.log.read_text().splitlines()
    form = r"\d\d:\d\d:\d\d (INFO|WARNING|ERROR) {1,4}\w"
    assert [line for line in lines if not re.match(form, line)] == []
