"""Control: the words between the server and a writer's process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from stats_aggregator.dispatch.control import Control, Settings


def test_settings_come_back_as_they_were_sent() -> None:
    sent = Settings("p", "store", "results", "feed", options={"a": [1]})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(sent.encode())
        assert Control(theirs).settings() == sent


@pytest.mark.parametrize("said", [b"", b'{"plugin": "p", "sto'])
def test_a_process_whose_daemon_is_gone_before_it_said_a_word_ends_without_one(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(said)
        ours.shutdown(socket.SHUT_WR)
        command = [sys.executable, "-m", "stats_aggregator.dispatch", "--control-fd", str(theirs.fileno())]
        done = subprocess.run(
            command, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=60, env=os.environ
        )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
