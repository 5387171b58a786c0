"""The writers' process: `python -m stats_aggregator.dispatch --control-fd N`.

The server starts it with one end of a socket pair, and starts it again where it dies (control.py says what
they say to each other). It hands what is stored to the plugins, so that whatever a plugin does to its process
is not done to the daemon.
"""

from __future__ import annotations

import argparse
import faulthandler
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from stats_aggregator_api import StatsWriter

from ..errors import PluginError, SettingError, StoreError
from ..store.outbox import Outbox, PluginRow
from ..store.store import Store
from .backlog import Backlog
from .calls import CallRecord
from .control import Control, Settings
from .dispatcher import Dispatcher, Post
from .feed import FeedReceiver
from .plugins import Plugin, discover, load
from .tap import overrides_on_add_stat
from .terms import Terms

log = logging.getLogger(__name__)

REFUSED = 2
"""The exit code where it cannot run as configured; `refused` on the control socket has said why."""
_SET_ASIDE = (
    "the writers' process died several times in a row while it was in a call; "
    "mend or update it, and start the daemon anew"
)
_POLL_S = 1.0
_LAST_CALLS_S = 1.3
_END_WITHIN_S = 1.8


class Process:
    """The writers' process, from its settings to its end."""

    def __init__(self, control: Control, settings: Settings) -> None:
        self._control = control
        self._settings = settings
        self._data_dir = Path(settings.store).parent
        self._dispatcher: Dispatcher | None = None
        self._feed: FeedReceiver | None = None
        self._feeding = threading.Lock()

    def run(self) -> int:
        """Deliver until the server says drain; return the exit code."""
        self._control.start(self._server_is_gone)
        with (self._data_dir / "writers.lock").open("wb") as lock:
            # Another writers' process may still be in its last calls. Not inherited by a plugin's children.
            fcntl.lockf(lock, fcntl.LOCK_EX)
            try:
                return self._deliver()
            except (PluginError, SettingError, StoreError) as error:
                self._control.say("refused", why=[str(error)])
                return REFUSED

    def _deliver(self) -> int:
        settings = self._settings
        plugins = discover(settings.selection)
        backlogs = {plugin.entry.key: self._backlog(plugin) for plugin in plugins}
        keys = [plugin.entry.key for plugin in plugins]
        calls = CallRecord(self._data_dir / "in-call", keys, restarted=settings.restarted)
        plugins = [self._loaded(plugin, calls) for plugin in plugins]
        failed = [
            f"{plugin.entry}: {plugin.entry.why}" for plugin in plugins if plugin.entry.state == "failed"
        ]
        if settings.strict and failed:
            self._control.say("refused", why=failed)
            return REFUSED
        with closing(Store(Path(settings.store), durability="process")) as store:
            rows = [_row(plugin, backlogs[plugin.entry.key][0]) for plugin in plugins]
            Outbox(store.database).begin(rows, settings.start)
            terms = Terms(
                Path(settings.store), settings.retry, settings.idle_s, calls.during, self._writers_made
            )
            posts = [
                Post(plugin, backlogs[plugin.entry.key][1])
                for plugin in plugins
                if plugin.entry.state == "loaded"
            ]
            self._dispatcher = Dispatcher(posts, store, settings.results_dir, terms)
            self._control.say("ready", plugins=[asdict(plugin.entry) for plugin in plugins])
            while not self._control.draining:
                self._dispatcher.tick()
                self._control.wait(_POLL_S)
            self._control.say("drained", left=self._dispatcher.drain())
        return 0

    def _backlog(self, plugin: Plugin) -> tuple[Backlog, dict[str, object]]:
        name = plugin.entry.name
        return Backlog.split(name, self._settings.options.get(name, {}))

    def _loaded(self, plugin: Plugin, calls: CallRecord) -> Plugin:
        key = plugin.entry.key
        if key in calls.set_aside and plugin.entry.state == "selected":
            return replace(plugin, entry=replace(plugin.entry, state="set aside", why=_SET_ASIDE))
        with calls.during(key):
            return load(plugin)

    def _writers_made(self, plugin: str, run: str, writers: Sequence[StatsWriter]) -> None:
        tap = any(map(overrides_on_add_stat, writers))
        with self._feeding:
            if tap and self._feed is None and self._dispatcher:
                self._feed = FeedReceiver(self._settings.feed, self._dispatcher.queues_of)
                self._feed.start()
        made = [
            {"class": type(writer).__qualname__, "destination": _destination(writer)} for writer in writers
        ]
        self._control.say("writers", plugin=plugin, run=run, tap=tap, writers=made)

    def _server_is_gone(self) -> None:
        # A plugin that hangs, or holds what is needed below, does not keep the process.
        threading.Thread(target=_exit_after, args=(_END_WITHIN_S,), daemon=True).start()
        log.error("the daemon is gone; the writers end too, and go on when it is started again")
        if self._dispatcher:
            self._dispatcher.stop(_LAST_CALLS_S)
        _flush()
        os._exit(1)


def _row(plugin: Plugin, backlog: Backlog) -> PluginRow:
    entry = plugin.entry
    return PluginRow(
        entry.key, entry.distribution, entry.version, entry.state, entry.why, backlog.max_backlog,
        backlog.max_backlog_age_ns, backlog.replay,
    )  # fmt: skip


def _destination(writer: StatsWriter) -> str | None:
    try:
        found = getattr(writer, "destination", None)
    except Exception:  # noqa: BLE001 - a property is the plugin's code too, and it is not needed
        return None
    return found if isinstance(found, str) else None


def _exit_after(delay_s: float) -> None:
    threading.Event().wait(delay_s)
    os._exit(1)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # a closed pipe; the process ends anyway


def _ignore(signum: int, frame: object) -> None:
    """Leave it to the daemon, which gets the signals of a terminal or a service manager too, to end this."""


def main() -> None:
    """Run the writers' process on the socket whose number is given."""
    parser = argparse.ArgumentParser(prog="python -m stats_aggregator.dispatch")
    parser.add_argument("--control-fd", type=int, required=True)
    arguments = parser.parse_args()
    # Handlers, not SIG_IGN: that would be inherited by the programs that plugins start.
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGTERM, _ignore)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    control = Control(socket.socket(fileno=arguments.control_fd))
    sys.exit(Process(control, control.settings()).run())


if __name__ == "__main__":
    main()
