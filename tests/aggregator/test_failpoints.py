"""Failpoints: what arms them, what happens at them, and that each stands somewhere."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import stats_aggregator
from stats_aggregator import failpoints
from stats_aggregator.errors import JournalFailed, JournalFull, SettingError
from stats_aggregator.journal.journal import Durability
from stats_aggregator_client.wire import Ack
from tests.aggregator.journals import begin, group, groups_in
from tests.aggregator.peers import SERIES, Core, Worker, pooled

WAIT_S = 30.0


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    yield
    failpoints.arm("")


def _errors(name: str, times: int) -> list[int | None]:
    """Come to an edge so many times; return the errno of what was raised each time."""
    found: list[int | None] = []
    for _ in range(times):
        try:
            failpoints.reach(name)
        except OSError as error:
            found.append(error.errno)
        else:
            found.append(None)
    return found


def test_nothing_happens_at_an_edge_that_is_not_armed() -> None:
    assert failpoints.armed == {}
    failpoints.arm("journal.sync.before=error(EIO)")
    assert _errors("journal.sync.after", 1) == [None]
    failpoints.arm("")
    assert _errors("journal.sync.before", 1) == [None]


@pytest.mark.parametrize(
    ("counts", "fired"),
    [("", [1, 1, 1, 1, 1]), ("@3", [0, 0, 1, 0, 0]), ("*2", [1, 1, 0, 0, 0]), ("@2*3", [0, 1, 1, 1, 0])],
)
def test_it_happens_as_often_as_is_said(counts: str, fired: list[int]) -> None:
    failpoints.arm(f"journal.sync.before=error(EIO){counts}")
    assert _errors("journal.sync.before", 5) == [errno.EIO if each else None for each in fired]


def test_several_are_armed_at_once() -> None:
    failpoints.arm("journal.sync.before=error(EIO); journal.write.before=error(ENOSPC)@2;")
    assert _errors("journal.sync.before", 1) == [errno.EIO]
    assert _errors("journal.write.before", 2) == [None, errno.ENOSPC]


def test_a_pause_says_that_it_is_reached_and_waits_for_its_file(tmp_path: Path) -> None:
    path, went_on = tmp_path / "go", threading.Event()
    failpoints.arm(f"store.commit.before=pause({path})")

    def come() -> None:
        failpoints.reach("store.commit.before")
        went_on.set()

    thread = threading.Thread(target=come)
    thread.start()
    turn = threading.Event()
    while not (tmp_path / "go.reached").exists():
        turn.wait(0.001)
    assert not went_on.is_set()
    path.touch()
    assert went_on.wait(WAIT_S)
    thread.join()


def test_to_die_is_a_kill_that_no_handler_sees() -> None:
    code = (
        "import atexit, signal, sys\n"
        "from stats_aggregator import failpoints\n"
        "atexit.register(print, 'a handler ran')\n"
        "failpoints.arm('engine.apply.before=die@2')\n"
        "failpoints.reach('engine.apply.before')\n"
        "print('once', flush=True)\n"
        "try:\n    failpoints.reach('engine.apply.before')\nfinally:\n    print('on')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "once\n")
    assert done.stderr == "failpoint engine.apply.before: the process ends here\n"


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("journal.sync=die", "journal.append.close.after, .*journal.sync.before.*writers.cursor.before"),
        ("journal.sync.before", "NAME=die, NAME=error"),
        ("journal.sync.before=explode", "NAME=die, NAME=error"),
        ("journal.sync.before=die(now)", "NAME=die, NAME=error"),
        ("journal.sync.before=error", "NAME=die, NAME=error"),
        ("journal.sync.before=die@0", "NAME=die, NAME=error"),
        ("journal.sync.before=error(ENONSENSE)", "a name of the module errno, such as ENOSPC"),
    ],
)
def test_what_cannot_be_armed_is_answered_with_what_can(spec: str, right: str) -> None:
    failpoints.arm("engine.apply.before=error(EIO)")
    with pytest.raises(SettingError, match=f"^STATS_AGGREGATOR_FAILPOINTS is '{re.escape(spec)}'") as raised:
        failpoints.arm(f"journal.write.before=error(EIO);{spec}")
    assert re.search(right, str(raised.value))
    assert _errors("engine.apply.before", 1) == [errno.EIO], "what was armed before is not"
    assert _errors("journal.write.before", 1) == [None]


def test_a_wrong_name_stops_the_daemon_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, "journal.sink.before=die")
    command = [sys.executable, "-m", "stats_aggregator", "serve", "--bind", f"ipc://{tmp_path}/socket"]
    done = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, timeout=WAIT_S
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "'journal.sink.before=die'" in line
    assert all(name in line for name in failpoints.NAMES)
    assert not (tmp_path / "data").exists()


def test_every_name_stands_in_the_sources_and_no_other() -> None:
    sources = Path(stats_aggregator.__file__).parent.rglob("*.py")
    text = "\n".join(path.read_text() for path in sources if path.name != "failpoints.py")
    reached = set(re.findall(r'failpoints\.reach\("([\w.]+)"\)', text))
    each = set(re.findall(r'reach_each\("journal.append", .*, "(\w+)"\)', text))
    assert each == {"before", "after"}
    assert reached == {name for name in failpoints.NAMES if not name.startswith("journal.append.")}


def test_edges_of_an_append_are_those_of_the_records_in_it(tmp_path: Path) -> None:
    journal = begin(tmp_path / "journal")
    failpoints.arm("journal.append.close.before=error(EIO);journal.append.group.after=error(EIO)*1")
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        journal.append([group(b"1")])
    journal.append([group(b"2")])
    journal.close()
    assert groups_in(tmp_path / "journal") == [b"1", b"2"], "after it, both stand"


def test_a_full_disk_holds_back_the_answer_until_there_is_room(tmp_path: Path) -> None:
    """The way for tests in process: arm an error, and disarm it again."""
    with Core(tmp_path / "core", "manual") as core:
        worker = Worker()
        core.handle(worker.hello())
        failpoints.arm("journal.write.before=error(ENOSPC)")
        assert core.handle(worker.batch(series=SERIES)) == []
        assert core.engine.stalled
        assert core.tick() == []
        failpoints.arm("")
        ((_, reply),) = core.tick()
        assert isinstance(reply, Ack)
        assert reply.durable_seq == 1
        assert pooled(core) == [1.0, 2.0]


@pytest.mark.parametrize("edge", ["before", "after"])
def test_a_failed_sync_is_never_tried_again(edge: str, tmp_path: Path) -> None:
    with Core(tmp_path / "core", "manual", durability=Durability.FULL) as core:
        worker = Worker()
        core.handle(worker.hello())
        failpoints.arm(f"journal.sync.{edge}=error(EIO)*1")
        with pytest.raises(JournalFailed):
            core.handle(worker.batch(series=SERIES))
        with pytest.raises(JournalFailed):
            core.handle(worker.batch(series=SERIES))


def test_a_segment_that_has_its_name_cannot_be_taken_back(tmp_path: Path) -> None:
    """Where its directory cannot be synced the journal has failed: it is no full disk, and no second try."""
    journal = begin(tmp_path / "journal", Durability.FULL, segment_bytes=1 << 12)
    failpoints.arm("segment.rename.after=error(ENOSPC)")
    with pytest.raises(JournalFailed):
        journal.append([group(bytes(1 << 13))])
    with pytest.raises(JournalFailed):
        journal.append([group(b"more")])
    journal.close()


def test_a_segment_that_has_not_its_name_is_made_again_when_there_is_room(tmp_path: Path) -> None:
    journal = begin(tmp_path / "journal", Durability.FULL, segment_bytes=1 << 12)
    failpoints.arm("segment.rename.before=error(ENOSPC)")
    with pytest.raises(JournalFull):
        begin(tmp_path / "other", Durability.FULL)
    journal.append([group(bytes(1 << 13))])
    failpoints.arm("")
    journal.append([group(bytes(1 << 13))])
    assert journal.segments == 1, "it grew, and a new one was begun; nothing pins the old one"
    journal.append([group(b"more")])
    journal.close()
    assert groups_in(tmp_path / "journal") == [b"more"]
