"""Data directories as a `kill -9` leaves them, and the damage that is done to them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

from stats_aggregator_client import StatsClient
from tests import oracle
from tests.system.daemons import Daemon, wait_until

NUM_CLOSED, NUM_OPEN, BATCHES = 45_000, 30_000, 60
"""Values of worker 1, in periods that are stored, and of worker 2, in one that is open."""
CONFIG = """
[serve]
segment_bytes = 65536
[periods]
"closed" = "manual"
"open" = "manual"
"""
Damage = Callable[[Path], None]
Sentence = Callable[..., tuple[int, str]]


def push(client: StatsClient, category: str, worker: int, first: int, num: int) -> None:
    numbers = [oracle.value(worker, index) for index in range(first, first + num)]
    client.reporter(category).add_stats(oracle.key(worker), numbers)
    assert client.flush(30)


def daemon_in(directory: Path, *options: str) -> Daemon:
    directory.mkdir(exist_ok=True)
    config = directory / "damage.toml"
    config.write_text(CONFIG)
    return Daemon(directory, "--config", str(config), "--writer", "jsonl", "--close-on-stop", *options)


def kill(daemon: Daemon) -> None:
    """End a daemon, and the processes of its writers, as a machine would."""
    tasks = Path(f"/proc/{daemon.pid}/task").iterdir()
    for child in [int(pid) for task in tasks for pid in (task / "children").read_text().split()]:
        os.kill(child, signal.SIGKILL)
    daemon.kill()


def make_template(directory: Path) -> Path:
    """What a `kill -9` left: three periods stored, one open, and several segments."""
    with daemon_in(directory) as daemon:
        with StatsClient(daemon.address, worker="w", run="run") as client:
            for step in (1, 2, 3):
                for piece in range(3 * step - 3, 3 * step):
                    push(client, "closed", 1, piece * NUM_CLOSED // 9, NUM_CLOSED // 9)
                client.reporter("closed").write_stats(step)
            assert client.flush(30)
            # So that the segments that follow tell of them as stored.
            wait_until(lambda: daemon.status()["closer"]["waiting"] == 0, "all that ended is stored")
            for number in range(BATCHES):
                push(client, "open", 2, number * NUM_OPEN // BATCHES, NUM_OPEN // BATCHES)
        wait_until(lambda: len(daemon.summaries("run")) == 3, "all that is stored is written")
        kill(daemon)
    assert len(segments(directory / "data")) >= 4
    return directory


def segments(data: Path) -> list[Path]:
    return sorted((data / "journal").glob("*.journal"))


def files_in(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def goes_on(directory: Path, *options: str) -> list[oracle.Row]:
    """Start on the directory, close all, and return what the oracle finds of the two workers.

    What is lost must stand as lost in the periods: so all that was acknowledged is accounted for.
    """
    with daemon_in(directory, *options) as daemon:
        assert daemon.stop() == 0, daemon.log.read_text()
    periods = oracle.stored_periods(directory / "data")
    told = oracle.Oracle()
    for worker, num, category in ((1, NUM_CLOSED, "closed"), (2, NUM_OPEN, "open")):
        told.sent(worker, num)
        told.gave_up(worker, sum(each.period.lost for each in periods if each.period.category == category))
    return told.check(periods)


def counted(rows: list[oracle.Row]) -> list[int]:
    return [row.counted for row in rows]


def remove_first_segment(data: Path) -> None:
    segments(data)[0].unlink()


def remove_middle_segment(data: Path) -> None:
    segments(data)[2].unlink()


def remove_last_segment(data: Path) -> None:
    segments(data)[-1].unlink()


def remove_journal(data: Path) -> None:
    shutil.rmtree(data / "journal")


def swap_segments(data: Path) -> None:
    first, second, *_ = segments(data)
    first.rename(data / "between")
    second.rename(first)
    (data / "between").rename(second)


def copy_segment(data: Path) -> None:
    shutil.copy(segments(data)[0], data / "journal" / "0000000000000099.journal")


def directory_as_segment(data: Path) -> None:
    (data / "journal" / "0000000000000099.journal").mkdir()


def file_as_journal(data: Path) -> None:
    shutil.move(data / "journal", data.parent / "moved")
    (data / "journal").write_text("mine")


def empty_store(data: Path) -> None:
    _checkpoint(data)
    (data / "store.sqlite").write_bytes(b"")


def remove_store(data: Path) -> None:
    _checkpoint(data)
    (data / "store.sqlite").unlink()


def remove_store_but_its_log(data: Path) -> None:
    assert (data / "store.sqlite-wal").stat().st_size
    (data / "store.sqlite").unlink()


def empty_store_but_its_log(data: Path) -> None:
    assert (data / "store.sqlite-wal").stat().st_size
    (data / "store.sqlite").write_bytes(b"")


def garbage_store(data: Path) -> None:
    _checkpoint(data)
    (data / "store.sqlite").write_bytes(os.urandom(20_000))


def cut_store_by_a_page(data: Path) -> None:
    _checkpoint(data)
    store = data / "store.sqlite"
    _cut(store, int.from_bytes(store.read_bytes()[16:18], "big"))


def cut_store_by_a_byte(data: Path) -> None:
    _checkpoint(data)
    _cut(data / "store.sqlite", 1)


def log_of_another_store(data: Path) -> None:
    _checkpoint(data)
    other = sqlite3.connect(data.parent / "other.sqlite", isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE owner (server_id BLOB)")
    other.execute("INSERT INTO owner VALUES (?)", (b"another",))
    shutil.copy(data.parent / "other.sqlite-wal", data / "store.sqlite-wal")
    other.close()


def directory_as_store(data: Path) -> None:
    shutil.move(data / "store.sqlite", data.parent / "moved")
    (data / "store.sqlite-wal").unlink()
    (data / "store.sqlite").mkdir()


def store_of_another_directory(data: Path) -> None:
    _checkpoint(data)
    with sqlite3.connect(data / "store.sqlite") as connection:
        connection.execute("UPDATE owner SET server_id = x'00'")
    connection.close()


def store_of_another_program(data: Path) -> None:
    for path in data.glob("store.sqlite*"):
        path.unlink()
    with sqlite3.connect(data / "store.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()


def damaged_server_id(data: Path) -> None:
    (data / "server-id").write_bytes(b"\xff")


def lost_server_id(data: Path) -> None:
    (data / "server-id").unlink()


def directory_as_server_id(data: Path) -> None:
    (data / "server-id").unlink()
    (data / "server-id").mkdir()


def damaged_run_id(data: Path) -> None:
    (data / "run-id").write_bytes(b"a\x00b\n")


def emptied_run_id(data: Path) -> None:
    (data / "run-id").write_bytes(b"")


def directory_as_lock(data: Path) -> None:
    (data / "lock").unlink()
    (data / "lock").mkdir()


def _cut(path: Path, num_bytes: int) -> None:
    os.truncate(path, path.stat().st_size - num_bytes)


def _checkpoint(data: Path) -> None:
    """Leave the store as a clean end does: all in its file, without a log."""
    connection = sqlite3.connect(data / "store.sqlite")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def zero_header(data: Path) -> None:
    segment = segments(data)[1]
    with segment.open("r+b") as file:
        file.write(bytes(4096))


def empty_segment(data: Path) -> None:
    segments(data)[1].write_bytes(b"")
