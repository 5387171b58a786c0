"""Children have a session of their own, and what they added last arrives under every start method."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stats_aggregator_client import StatsClient
from tests.worker_client.arrivals import pooled
from tests.worker_client.children import fork, hold, report, report_with
from tests.worker_client.peer import Peer

ROOT = Path(__file__).parents[2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Forking a process with threads is what these tests are about, and Python 3.12 warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_last_values_of_children_arrive(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer() as peer:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        context = multiprocessing.get_context(method)
        children = [
            context.Process(target=report, args=(peer.address, f"c{index}", 1000)) for index in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        for index in range(2):
            assert peer.stored.values(f"c{index}") == {"k": [float(value) for value in range(1000)]}
        assert len({hello.process for hello in peer.hellos}) == 2
        assert len({hello.worker for hello in peer.hellos}) == 2


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_child_process_does_not_repeat_the_world_size_of_its_parent(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with Peer() as peer, StatsClient(peer.address, worker="parent") as client:
        client.reporter("c").add_stat("k", 1.0)
        assert client.flush(10)
        child = multiprocessing.get_context(method).Process(target=report, args=(peer.address, "c", 1))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        sizes = [(hello.worker == "parent", hello.info.get("world_size")) for hello in peer.hellos]
        assert sizes == [(True, 3), (False, None)]


@needs_fork
def test_a_fork_that_multiprocessing_has_not_made_does_not_repeat_the_world_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with Peer() as peer, StatsClient(peer.address, worker="parent") as client:
        client.reporter("c").add_stat("k", 1.0)
        assert client.flush(10)

        def child() -> int:
            with StatsClient(peer.address, worker="child") as own:
                own.reporter("c").add_stat("k", 2.0)
                return 0 if own.flush(10) else 3

        assert fork(child) == 0
        assert {hello.worker: hello.info.get("world_size") for hello in peer.hellos} == {
            "parent": 3,
            "child": None,
        }


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_pool_that_is_closed_and_joined_delivers_all(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer() as peer:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        pool = multiprocessing.get_context(method).Pool(2)
        pool.starmap(report, [(peer.address, "c", 100)] * 10)
        pool.close()
        pool.join()
        assert sorted(peer.stored.values("c")["k"]) == sorted([float(value) for value in range(100)] * 10)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_children_of_a_client_that_is_older_than_multiprocessing_deliver(method: str) -> None:
    script = (
        "import sys\n"
        "from tests.worker_client.children import report\n"
        "report(sys.argv[1], 'parent', 10)\n"
        "assert 'multiprocessing' not in sys.modules\n"
        "import multiprocessing\n"
        "context = multiprocessing.get_context(sys.argv[2])\n"
        "child = context.Process(target=report, args=(sys.argv[1], 'c', 1000))\n"
        "child.start()\n"
        "child.join(60)\n"
        "assert child.exitcode == 0\n"
    )
    with Peer() as peer:
        command = [sys.executable, "-c", script, peer.address, method]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
        assert len(peer.stored.values("parent")["k"]) == 10
        assert peer.stored.values("c") == {"k": [float(value) for value in range(1000)]}
        assert {hello.worker.rpartition("Process")[2] for hello in peer.hellos} == {"", "-1"}
        assert peer.byes == 2


def test_a_script_that_just_ends_delivers_all() -> None:
    script = (
        "from stats_aggregator_client import StatsReporter\n"
        "reporter = StatsReporter('c')\n"
        "reporter.add_stats('k', range(1000))\n"
        "reporter.write_stats(1)\n"
    )
    with Peer() as peer:
        environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": peer.address}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
        assert peer.stored.values("c") == {"k": [float(value) for value in range(1000)]}
        assert peer.byes == 1


def test_a_script_without_a_daemon_ends_soon(tmp_path: Path) -> None:
    script = (
        "from stats_aggregator_client import StatsReporter\nStatsReporter('c').add_stats('k', [1.0, 2.0])\n"
    )
    environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": f"ipc://{tmp_path}/nobody"}
    found = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert "closed with 2 values lost" in found.stderr
    assert f"{tmp_path}/nobody. Start one with `stats-aggregator serve`, or set STATS_AGG" in found.stderr


@needs_fork
def test_a_forked_child_begins_empty_with_another_session() -> None:
    with Peer() as peer, StatsClient(peer.address, worker="w", flush_interval_s=60) as client:
        reporter = client.reporter("c")
        reporter.add_stat("k", 0.0)
        assert client.flush(10)
        reporter.add_stat("k", 1.0)  # waits in the parent's buffer, and is the parent's

        def child() -> int:
            reporter.add_stat("k", 2.0)
            return 0 if client.flush(10) and client.statistics().values_added == 1 else 3

        assert fork(child) == 0
        reporter.add_stat("k", 3.0)
        assert client.flush(10)
        assert sorted(peer.stored.values()["k"]) == [0.0, 1.0, 2.0, 3.0]
        first, second = peer.hellos
        assert first.session != second.session
        assert first.process != second.process
        assert first.worker == "w"
        assert second.worker.startswith("w-")
        assert len(peer.hellos) == 2  # the parent's connection was not touched


@needs_fork
def test_an_inherited_client_delivers_at_the_end_of_a_forked_child() -> None:
    with Peer() as peer, StatsClient(peer.address, worker="w") as client:
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=report_with, args=(client, "c", 500)) for _ in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        assert len(peer.stored.values("c")["k"]) == 1500
        assert len({hello.worker for hello in peer.hellos}) >= 3


@needs_fork
def test_a_child_that_only_counts_steps_is_heard() -> None:
    with Peer() as peer, StatsClient(peer.address, flush_interval_s=0.02) as client:
        reporter = client.reporter("c")

        def child() -> int:
            reporter.add_steps(7)
            return 0 if client.close(10) else 3

        assert fork(child) == 0
        assert [batch.steps for batch in peer.stored.batches()] == [7]


@needs_fork
def test_a_child_that_uses_nothing_opens_nothing() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        client.reporter("c").add_stat("k", 1.0)
        assert client.flush(10)

        def child() -> int:
            threads = threading.active_count()
            client.close()
            return 0 if threads == threading.active_count() == 1 else 3

        assert fork(child) == 0
        assert len(peer.hellos) == 1


@needs_fork
def test_a_fork_while_a_thread_holds_the_lock_does_not_hang_the_child() -> None:
    with Peer() as peer, StatsClient(peer.address) as client:
        reporter = client.reporter("c")
        held, release = threading.Event(), threading.Event()
        thread = hold(client._outbox.door.lock, held, release)

        def child() -> int:
            reporter.add_stat("k", 5.0)
            reporter.write_stats(1)
            return 0 if client.flush(10) else 3

        assert fork(child) == 0
        release.set()
        thread.join()
        assert peer.stored.values() == {"k": [5.0]}


@needs_fork
def test_forks_while_threads_add_neither_hang_nor_double() -> None:
    with Peer() as peer, StatsClient(peer.address, flush_interval_s=0.01) as client:
        reporter = client.reporter("c")
        stop = threading.Event()
        added = [0, 0]

        def add(index: int) -> None:
            while not stop.is_set():
                reporter.add_stat("k", 1.0)
                reporter.add_stats("many", [1.0, 2.0])
                added[index] += 1

        threads = [threading.Thread(target=add, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()

        def child() -> int:
            reporter.add_stat("child", 1.0)
            return 0 if client.flush(20) else 3

        codes = [fork(child) for _ in range(8)]
        stop.set()
        for thread in threads:
            thread.join()
        assert codes == [0] * 8
        assert client.flush(20)
        counted = {key: len(values) for key, values in peer.stored.values().items()}
        assert counted == {"k": sum(added), "many": 2 * sum(added), "child": 8}


def test_the_module_imports_and_works_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import os, sys\n"
        "for name in ('fork', 'register_at_fork', 'forkpty'):\n"
        "    if hasattr(os, name): delattr(os, name)\n"
        "from stats_aggregator_client import StatsReporter\n"
        "StatsReporter('c').add_stat('k', 1.0)\n"
    )
    with Peer() as peer:
        environment = {**os.environ, "STATS_AGGREGATOR_ADDRESS": peer.address}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
        assert peer.stored.values() == {"k": [1.0]}


def test_the_client_needs_neither_numpy_nor_the_daemon() -> None:
    script = (
        "import sys, stats_aggregator_client\n"
        "assert not {'numpy', 'stats_aggregator', 'torch'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@needs_fork
def test_a_child_forked_while_its_parent_folds_begins_empty(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/fork"
    with StatsClient(address, buffer_bytes=1 << 20, flush_interval_s=0.02) as client:
        reporter = client.reporter("c")

        def child() -> int:
            client.reporter("child").add_stats("k", [1.0, 2.0])
            return 0 if client.close(20) and client.statistics().values_acked == 2 else 1

        folding = threading.Thread(
            target=lambda: [reporter.add_stats("k", [float(value)] * 5000) for value in range(300)]
        )
        folding.start()
        while not client.statistics().values_folded:
            client.flush(0.01)
        with Peer(address) as peer:
            assert fork(child) == 0
            folding.join()
            assert client.flush(30)
            assert client.statistics().values_lost == 0
            total = sum(float(value) * 5000 for value in range(300))
            found = pooled([m for m in peer.stored.messages if m.category == "c"])  # type: ignore[union-attr]
            assert found["k"][:2] == (1_500_000, total)
            assert peer.stored.values("child") == {"k": [1.0, 2.0]}
