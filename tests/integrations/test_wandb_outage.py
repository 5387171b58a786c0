"""The W&B writer where the server, or W&B's own process, fails: the same writer goes on afterwards."""

import os
import signal
import socket
import subprocess
import threading

import pytest

pytest.importorskip("wandb", reason="no wandb here: `make test-integrations` has it")

from stats_aggregator_wandb.errors import NotOpenedError, UnconfirmedError
from stats_aggregator_wandb.options import WandbOptions
from stats_aggregator_wandb.writer import WandbWriter
from tests.integrations.test_wandb_writer import steps, write
from tests.integrations.wandb_child import CATEGORY, RUN, period
from tests.integrations.wandb_records import rows
from tests.integrations.wandb_server import WandbServer


def write_until_taken(writer, values):
    """As the daemon would."""
    failures = []
    for _ in range(5):
        try:
            write(writer, values)
            return failures
        except OSError as error:
            failures.append(error)
    raise AssertionError(failures)


def wandb_processes():
    found = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {int(line.split()[0]) for line in found.stdout.splitlines() if "wandb-core" in line}


@pytest.fixture
def place(monkeypatch):
    """The port of a server that is not there yet."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    return port


@pytest.mark.parametrize("outage", ["not there", 401, 500])
def test_a_server_that_is_out_at_the_start_is_waited_for(tmp_path, place, outage):
    server = None if outage == "not there" else WandbServer(place)
    if server is not None:
        server.outage = outage
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(timeout_s=2.0))
    for _ in range(2):
        before = threading.active_count()
        with pytest.raises(OSError, match="run-1") as error:
            write(writer, period(1))
        assert error.type is NotOpenedError
    # However long it takes, attempts leave no files, processes or threads.
    assert list(tmp_path.glob("wandb/run-*")) == []
    assert wandb_processes() == set()
    assert threading.active_count() == before
    server = server or WandbServer(place)
    server.outage = 0
    assert write_until_taken(writer, period(1)) == []
    write(writer, period(2))
    writer.close()
    assert steps(server.history(RUN)) == [10, 20]
    server.stop()


def test_w_and_bs_own_process_may_hang(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline", timeout_s=1.0))
    write(writer, period(1))
    for process in wandb_processes():
        os.kill(process, signal.SIGSTOP)
    failures = write_until_taken(writer, period(2))
    assert [type(failure) for failure in failures] == [UnconfirmedError]
    write(writer, period(3))
    writer.close()
    assert steps(rows(tmp_path)) == [10, 20, 30]


def test_w_and_bs_own_process_may_be_killed(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline", timeout_s=1.0))
    write(writer, period(1))
    for process in wandb_processes():
        os.kill(process, signal.SIGKILL)
    failures = write_until_taken(writer, period(2))
    assert isinstance(failures[0], UnconfirmedError | ConnectionError)
    write(writer, period(3))
    writer.close()
    assert steps(rows(tmp_path)) == [10, 20, 30]


def test_one_runs_process_is_not_anothers(tmp_path):
    options = WandbOptions(mode="offline", timeout_s=1.0)
    one, two = (WandbWriter(run, str(tmp_path / run), options) for run in ("one", "two"))
    write(one, period(1))
    processes = wandb_processes()
    write(two, period(1))
    for process in processes:
        os.kill(process, signal.SIGKILL)
    write(two, period(2))
    assert write_until_taken(one, period(2)) != []
    for writer in (one, two):
        writer.close()
    assert steps(rows(tmp_path / "one")) == steps(rows(tmp_path / "two")) == [10, 20]
    assert wandb_processes() == set()


def test_a_row_is_in_the_file_when_the_call_returns_whatever_becomes_of_w_and_bs_process(tmp_path):
    writer = WandbWriter(RUN, str(tmp_path), WandbOptions(mode="offline", timeout_s=1.0))
    write(writer, period(1))
    processes = wandb_processes()
    write(writer, period(2))
    for process in processes:
        os.kill(process, signal.SIGKILL)
    assert [line[f"{CATEGORY}/Step"] for line in rows(tmp_path)] == [10, 20]
    write_until_taken(writer, period(3))
    writer.close()
