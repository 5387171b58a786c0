"""The data directory: one daemon's alone, with an identity that stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stats_aggregator.errors import DataDirectoryError
from stats_aggregator.server import data_directory
from stats_aggregator.server.data_directory import DataDirectory, default_data_directory, file_system
from stats_aggregator.store.soundness import own
from stats_aggregator.store.store import Store

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local xfs rw 0 0
lustre@tcp:/fs /scratch lustre rw 0 0
user@host: /mnt/my\\040data fuse.sshfs rw 0 0
overlay / overlay rw 0 0
"""
HOLD = """
import sys
from pathlib import Path
from stats_aggregator.server.data_directory import DataDirectory
directory = DataDirectory(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "overlay"),
        ("/home/me/.local/state", "nfs4"),
        ("/home/local/me", "xfs"),
        ("/homestead", "overlay"),
        ("/scratch/job", "lustre"),
        ("/mnt/my data/x", "fuse.sshfs"),
        ("/tmp", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_longest_mount_point_and_of_the_last(path, kind):
    assert file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused_with_what_to_do(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"{MOUNTS}server:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(data_directory, "_MOUNTS", mounts)
    with pytest.raises(DataDirectoryError, match=r"network file system \(nfs\).*--data-dir"):
        DataDirectory(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_second_daemon_is_refused_with_the_pid_of_the_first_until_it_is_gone(tmp_path):
    path = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataDirectoryError, match=rf"in use by another daemon \(process {holder.pid}\)"):
            DataDirectory(path)
        holder.kill()
    DataDirectory(path).close()


def test_the_server_id_stays_and_another_directory_has_another(tmp_path):
    first = DataDirectory(tmp_path / "a")
    found = first.server_id
    first.close()
    first.close()
    again, other = DataDirectory(tmp_path / "a"), DataDirectory(tmp_path / "b")
    assert len(found) == 16
    assert again.server_id == found != other.server_id
    again.close()
    other.close()


@pytest.mark.parametrize("content", [b"zz", b"\xff\xfe", b"0" * 31])
def test_a_damaged_server_id_is_said_and_the_lock_given_back(tmp_path, content):
    (tmp_path / "server-id").write_bytes(content)
    for _ in range(2):
        with pytest.raises(DataDirectoryError, match="damaged file server-id"):
            DataDirectory(tmp_path)
    (tmp_path / "server-id").unlink()
    DataDirectory(tmp_path).close()


@pytest.mark.parametrize("damage", [Path.unlink, Path.touch, lambda file: file.write_text("ab\n")])
@pytest.mark.parametrize("ended", ["cleanly", "by a kill"])
def test_the_sentence_on_a_lost_server_id_has_the_command_that_brings_it_back(tmp_path, damage, ended):
    data = tmp_path / "my data"
    directory = DataDirectory(data)
    server_id = directory.server_id
    store = Store(directory.store)
    own(store.database, server_id)
    if ended == "cleanly":
        store.close()
    directory.close()
    (data / "server-id").write_text("")
    damage(data / "server-id")
    before = sorted(data.iterdir())
    with pytest.raises(DataDirectoryError, match=r"file server-id; write it anew: printf ") as raised:
        DataDirectory(data)
    assert sorted(data.iterdir()) == before
    (command,) = re.findall("printf .*", str(raised.value))
    subprocess.run(["sh", "-c", command], check=True)
    again = DataDirectory(data)
    assert again.server_id == server_id
    again.close()
    store.close()


def test_where_the_store_does_not_tell_the_server_id_either_it_says_so(tmp_path):
    (tmp_path / "store.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(DataDirectoryError, match=r"lost its file server-id, and store.sqlite does not tell"):
        DataDirectory(tmp_path)


def test_the_run_id_is_kept_until_it_is_forgotten(tmp_path):
    directory = DataDirectory(tmp_path)
    run = directory.run_id()
    directory.close()
    directory = DataDirectory(tmp_path)
    assert directory.run_id() == run
    directory.forget_run_id()
    directory.forget_run_id()
    assert directory.run_id() != run
    directory.close()


def test_a_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataDirectoryError, match="Not a directory; something else stands"):
        DataDirectory(tmp_path / "file" / "data")


def test_the_default_is_the_nodes_scratch_then_the_users_state(monkeypatch):
    monkeypatch.setenv("SLURM_TMPDIR", "/scratch/job")
    assert default_data_directory() == Path("/scratch/job/stats-aggregator")
    monkeypatch.delenv("SLURM_TMPDIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_data_directory() == Path("/state/stats-aggregator")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_data_directory() == Path("/home/me/.local/state/stats-aggregator")
    assert os.fspath(default_data_directory()).startswith("/home/me")
