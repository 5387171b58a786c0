"""Server: builds the daemon from its config, runs it, and stops it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..clock import Clock
from ..dispatch.control import Settings
from ..dispatch.plugins import PluginEntry, check_tables, discover
from ..engine.closer import Closer
from ..engine.engine import Engine
from ..engine.recovery import Recovered, recover
from ..engine.state import State
from ..errors import StoreError
from ..journal.journal import Durability
from ..metrics.settings import Settings as PageSettings
from ..pooling.accumulators import Limits
from ..store.outbox import Outbox
from ..store.soundness import check_sound, own, sync_files
from ..store.store import Store
from .address_file import AddressFile
from .addresses import local_address, reachable_address
from .config import Config
from .data_directory import DataDirectory
from .feed_sender import FeedSender
from .file_limit import raise_file_limit
from .freed_memory import keep_freed_memory
from .ingress import Ingress
from .page_process import PageProcess
from .results_directory import make_results_directory
from .status import describe, describe_writers
from .status_desk import StatusDesk
from .watch import Watch
from .writers import Writers, row_of

log = logging.getLogger(__name__)

_TICK_NS = 20_000_000
_IDLE_MS = 100
_AWAY_NS = 3_000_000_000

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
        self._askers: list[bytes] = []
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
        entries = [plugin.entry for plugin in plugins]
        rows = [row_of(entry, config.writers.get(entry.key, {})) for entry in entries]
        raise_file_limit()
        keep_freed_memory()
        address_file = AddressFile(config.address_file) if config.address_file is not None else None
        make_results_directory(config.results_dir)
        self._directory = self._owned(DataDirectory(config.data_dir))
        self._run = config.run_id or self._directory.run_id()
        # Bound before anything is started, so that an address in use costs one sentence; who connects waits.
        self._ingress = self._owned(Ingress(config.bind))
        self._page = self._owned(PageProcess(config.http)) if config.http is not None else None
        self._clock = Clock()
        self._started_ns = self._clock.now_ns()
        check_sound(self._directory.store, self._directory.server_id)
        if config.durability is Durability.FULL:
            sync_files(self._directory.store)
        self._store = self._owned(self._open_store())
        own(self._store.database, self._directory.server_id)
        self._feed = self._owned(FeedSender())
        self._outbox = self._outbox_of_its_own()
        self._outbox.begin(rows, self._store.end())
        selected = [entry for entry in entries if entry.state == "selected"]
        self._writers = self._build_writers(selected)
        self._closer = Closer(self._store, self._directory.server_id, self._on_stored, self._on_failure)
        recovered = self._recover()
        self._build_desk()
        self._engine = self._build_engine(recovered)
        self._closer.start()
        self._closing.append(lambda: self._closer.stop(1.0))
        if self._page is not None:
            store = str(self._directory.store)
            self._page.start(PageSettings(local_address(self.address), store, config.gauges))
        self._writers.check(strict=config.strict)
        if address_file is not None:
            self._owned(address_file).write(reachable_address(self.address, socket.gethostname()))

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

    def _build_writers(self, entries: Sequence[PluginEntry]) -> Writers:
        config, feed = self._config, self._feed
        common = Settings(
            plugin="",
            store=str(self._directory.store),
            results_dir=str(config.results_dir.absolute()),
            feed=feed.endpoint,
            selection=config.selection,
        )
        writers = Writers(entries, common, config.writers, feed.want)
        writers.start()
        self._owned(writers)
        self._owned(Watch(self._outbox_of_its_own(), writers.calls)).start()
        return writers

    def _outbox_of_its_own(self) -> Outbox:
        # A connection lets in one thread at a time: nobody shall wait for another's turn.
        return Outbox(self._owned(self._open_store()).database, self._clock.now_ns)

    def _build_desk(self) -> None:
        self._desk = self._owned(StatusDesk(self._describe_outgoing, self._ingress.wake))
        self._desk.start()

    def _recover(self) -> Recovered:
        config, store = self._config, self._store
        last = {name: store.last_period(*name) for name in store.closed_ordinals()}
        known = {name: period for name, period in last.items() if period is not None}
        limits = Limits(config.retain_values, config.max_series)
        self._state = State(config.cut, config.ingress_bytes, limits, config.max_categories, known)
        recovered = recover(
            self._directory.journal,
            config.durability,
            self._state,
            store,
            self._clock,
            config.segment_bytes,
            accept_loss=config.accept_loss,
        )
        self._closing.append(recovered.journal.close)
        return recovered

    def _build_engine(self, recovered: Recovered) -> Engine:
        engine = Engine(
            self._state,
            recovered.journal,
            self._closer,
            self._clock,
            self._feed,
            self._askers.append,
            server_id=self._directory.server_id,
            run=self._run,
            grace_ns=self._config.grace_ns,
            windows_ns=self._config.windows_ns(),
            retain_bytes=self._config.retain_bytes,
            journal_bytes=self._config.journal_bytes,
            reaches=self._ingress.reaches,
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

    @property
    def page(self) -> str | None:
        """Where /metrics is served, if anywhere."""
        return f"http://{self._page.address}/metrics" if self._page is not None else None

    # Called on other threads.

    def _describe_outgoing(self) -> dict[str, Any]:
        found = describe_writers(self._outbox, self._writers.describe(), self._clock.now_ns())
        return found if self._page is None else {**found, "http": self._page.describe()}

    def _on_stored(self) -> None:
        self._writers.wake()
        self._ingress.wake()

    def _on_failure(self, error: BaseException) -> None:
        self._failure = error
        self._ingress.wake()

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
        next_tick_ns, now_ns = 0, time.monotonic_ns()
        while not self._signals:
            ingress.send(engine.handle(ingress.receive()))
            if ingress.is_idle:
                ingress.wait(_IDLE_MS)
            self._answer_status()
            if self._failure is not None:
                raise self._failure
            before_ns, now_ns = now_ns, time.monotonic_ns()
            if now_ns - before_ns > _AWAY_NS:
                engine.was_away(now_ns - before_ns)
            if now_ns >= next_tick_ns or self._closer.stored:
                next_tick_ns = now_ns + _TICK_NS
                ingress.send(engine.tick())
            if ingress.dropped:
                engine.reception.drop_many("frames", ingress.dropped)
                ingress.dropped = 0

    def _answer_status(self) -> None:
        if self._askers:
            # One description for all who asked in a group.
            found = describe(self._engine, self.address, self._started_ns, self._clock.now_ns())
            self._desk.ask(tuple(self._askers), found)
            self._askers.clear()
        while self._desk.answers:
            self._ingress.send([self._desk.answers.popleft()])

    def _stop(self) -> int:
        deadline_s = time.monotonic() + self._config.drain_timeout_ns / 1e9
        waiting = self._engine.stop(self._config.close_on_stop)
        self._ingress.hang_up()
        stored = self._closer.stop(max(deadline_s - time.monotonic(), 0.1))
        self._engine.release_stored()
        self._writers.drain(max(deadline_s - time.monotonic(), 0.1))
        left = self._left()
        if waiting:
            log.warning("%d values wait in open periods for the next start", waiting)
        if not stored:
            log.warning("%d periods wait to be stored after the next start", self._closer.waiting)
        if left:
            log.warning("writers have %s still before them after the next start", left)
        if waiting or not stored or left:
            return EXIT_LEFT
        self._directory.forget_run_id()
        return EXIT_CLEAN

    def _left(self) -> str:
        try:
            left = self._outbox.left()
        except StoreError as error:
            return f"something ({error})"
        return f"{left} periods and properties" if left else ""

    def _close(self) -> None:
        while self._closing:
            self._closing.pop()()
