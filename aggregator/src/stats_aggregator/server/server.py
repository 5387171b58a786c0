"""Server: builds the daemon from its config, runs it, and stops it."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..dispatch.control import Settings
from ..dispatch.plugins import Plugin, check_tables, discover
from ..engine.closer import Closer
from ..engine.engine import Engine
from ..engine.recovery import Recovered, recover
from ..engine.state import State
from ..errors import PluginError, SettingError
from ..store.outbox import Outbox
from ..store.store import Store
from .address_file import AddressFile
from .addresses import reachable_address
from .config import Config
from .data_directory import DataDirectory
from .feed_sender import FeedSender
from .ingress import Ingress
from .status import describe
from .writers_process import WritersProcess

log = logging.getLogger(__name__)

_TICK_NS = 20_000_000
_IDLE_MS = 100
_LOAD_TIMEOUT_S = 60.0

EXIT_CLEAN = 0
EXIT_LEFT = 3
"""Something stayed behind for the next start: open periods, or entries that writers have not taken."""


class Server:
    """One daemon: made, it is ready to receive; `serve` runs it until it is told to stop.

    Raises StatsAggregatorError where it cannot be made; nothing is left behind then.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._closing: list[Callable[[], object]] = []
        self._signals = 0
        self._failure: BaseException | None = None
        try:
            self._build()
        except BaseException:
            self._close()
            raise

    def _build(self) -> None:
        config = self._config
        # A misspelt writer is said before anything is opened.
        plugins = discover(config.selection)
        check_tables(plugins, config.writers)
        _raise_file_limit()
        address_file = AddressFile(config.address_file) if config.address_file is not None else None
        _make_results_directory(config.results_dir)
        self._directory = self._owned(DataDirectory(config.data_dir))
        # Bound before anything is started, so that an address in use costs one sentence; who connects waits.
        self._ingress = self._owned(Ingress(config.bind))
        self._clock = Clock()
        self._started_ns = self._clock.now_ns()
        self._store = self._owned(self._open_store())
        self._feed = self._owned(FeedSender())
        self._introduce_plugins(plugins)
        self._writers = WritersProcess(self._settings(), self._on_writers_event)
        self._writers.start()
        self._closing.append(lambda: self._writers.drain(0.0))
        self._closer = Closer(self._store, self._directory.server_id, self._on_stored, self._on_failure)
        recovered = self._recover()
        self._status_store = self._owned(self._open_store())
        self._engine = self._build_engine(recovered)
        self._closer.start()
        self._closing.append(lambda: self._closer.stop(1.0))
        if config.strict and not self._writers.wait_ready(_LOAD_TIMEOUT_S):
            raise PluginError("; ".join(self._writers.refused) or "the writers' process did not start")
        if address_file is not None:
            self._owned(address_file).write(reachable_address(self.address, socket.gethostname()))

    def _introduce_plugins(self, plugins: Iterable[Plugin]) -> None:
        entries = [plugin.entry for plugin in plugins if plugin.entry.state == "selected"]
        rows = [(entry.key, entry.distribution, entry.version) for entry in entries]
        Outbox(self._store.database, self._clock.now_ns).introduce(rows, self._store.end())

    def _owned(self, part: Any) -> Any:
        self._closing.append(part.close)
        return part

    def _open_store(self) -> Store:
        config = self._config
        return Store(
            self._directory.store,
            durability=config.durability.value,
            retention_s=config.retention_ns / 1e9,
            clock=self._clock.now_ns,
        )

    def _settings(self) -> Settings:
        config = self._config
        return Settings(
            store=str(self._directory.store),
            results_dir=str(config.results_dir.absolute()),
            start=self._store.end(),
            feed=self._feed.endpoint,
            strict=config.strict,
            selection=config.selection,
            options=config.writers,
        )

    def _recover(self) -> Recovered:
        config, store = self._config, self._store
        last = {name: store.last_period(*name) for name in store.closed_ordinals()}
        known = {name: period for name, period in last.items() if period is not None}
        self._state = State(config.cut, config.ingress_bytes, config.retain_values, known)
        recovered = recover(self._directory.journal, config.durability, self._state, store, self._clock)
        self._closing.append(recovered.journal.close)
        return recovered

    def _build_engine(self, recovered: Recovered) -> Engine:
        outbox = Outbox(self._status_store.database, self._clock.now_ns)
        address = self._ingress.address

        def report() -> Mapping[str, Any]:
            return describe(self._engine, outbox, address, self._started_ns, self._clock.now_ns())

        engine = Engine(
            self._state,
            recovered.journal,
            self._closer,
            self._clock,
            self._feed,
            report,
            server_id=self._directory.server_id,
            run=self._config.run_id or self._directory.run_id(),
            grace_ns=self._config.grace_ns,
            windows_ns=self._config.windows_ns(),
        )
        for ended in recovered.replay.ended:
            self._closer.submit(ended)
        for named in recovered.replay.properties:
            self._closer.submit(named)
        engine.close_misfits()
        return engine

    @property
    def address(self) -> str:
        """Where workers connect, with the port that was taken for port 0."""
        return str(self._ingress.address)

    @property
    def run(self) -> str:
        """The run of workers that name none."""
        return self._engine.run

    # Called on other threads.

    def _on_stored(self) -> None:
        self._writers.wake()
        self._ingress.wake()

    def _on_failure(self, error: BaseException) -> None:
        self._failure = error
        self._ingress.wake()

    def _on_writers_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "ready":
            for plugin in event["plugins"]:
                if plugin["state"] in ("failed", "set aside"):
                    log.warning(
                        "writer %s of %s is skipped: %s", plugin["key"], plugin["distribution"], plugin["why"]
                    )
        elif event["event"] == "writers":
            for writer in event["writers"]:
                where = f" to {writer['destination']}" if writer.get("destination") else ""
                log.info("writer %s writes run %s%s", event["plugin"], event["run"], where)
            self._feed.wanted = self._feed.wanted or bool(event.get("tap"))
        elif event["event"] == "refused":
            for why in event["why"]:
                log.error("no writer runs: %s", why)

    # Running and stopping.

    def serve(self, on_ready: Callable[[], None]) -> int:
        """Run until SIGTERM or SIGINT; return the exit code. A second signal ends the process at once.

        `on_ready` is called when messages, and signals, are taken.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._ingress.wake_fd, warn_on_full_buffer=False)
        try:
            on_ready()
            self._loop()
            return self._stop()
        finally:
            signal.set_wakeup_fd(-1)
            self._close()

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)

    def _loop(self) -> None:
        engine, ingress = self._engine, self._ingress
        next_tick_ns = 0
        while not self._signals:
            received = ingress.receive()
            if received:
                ingress.send(engine.handle(received))
            else:
                ingress.wait(_IDLE_MS)
            if self._failure is not None:
                raise self._failure
            now_ns = time.monotonic_ns()
            if now_ns >= next_tick_ns or self._closer.stored:
                next_tick_ns = now_ns + _TICK_NS
                ingress.send(engine.tick())
            if ingress.dropped:
                engine.reception.drop_many("frames", ingress.dropped)
                ingress.dropped = 0

    def _stop(self) -> int:
        deadline_s = time.monotonic() + self._config.drain_timeout_ns / 1e9
        waiting = self._engine.stop(self._config.close_on_stop)
        self._ingress.hang_up()
        stored = self._closer.stop(max(deadline_s - time.monotonic(), 0.1))
        self._engine.release_stored()
        left = self._writers.drain(max(deadline_s - time.monotonic(), 0.1))
        if waiting:
            log.warning("%d values wait in open periods for the next start", waiting)
        if not stored:
            log.warning("%d periods wait to be stored after the next start", self._closer.waiting)
        if left != 0:
            log.warning(
                "writers have %s still before them after the next start", left if left else "something"
            )
        if waiting or not stored or left != 0:
            return EXIT_LEFT
        self._directory.forget_run_id()
        return EXIT_CLEAN

    def _close(self) -> None:
        while self._closing:
            self._closing.pop()()


def _raise_file_limit() -> None:
    # At the limit a ROUTER spins without an error, and takes nobody in.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except ValueError:
        pass  # macOS says "no limit" and then takes none: its own default stays


def _make_results_directory(path: Path) -> None:
    # Writers make what they need below it; that it can be had at all is said at the start.
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        right = f"a directory that can be made and written; this one cannot: {error.strerror}"
        raise SettingError("--results-dir", str(path), right) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingError("--results-dir", str(path), "a directory that can be written")
