"""A writer's process: `python -m stats_aggregator.dispatch --control-fd N`.

The server starts one for each plugin, with one end of a socket pair, and starts it again where it dies
(control.py says what they say to each other). It hands what is stored to its plugin; whatever that does to
its process, its interpreter or its memory is done to neither the daemon nor the other plugins.
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
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from stats_aggregator_api import StatsWriter

from .. import failpoints
from ..errors import PluginError, SettingError, StoreError
from ..printable import log_printably
from ..store.outbox import Outbox
from ..store.store import Store
from .calls import CallRecord
from .control import Control, Settings
from .dispatcher import Dispatcher
from .feed import FeedReceiver
from .plugins import OUR_WRITERS, Plugin, discover, load
from .process_files import ProcessFiles
from .rehearsal import rehearse
from .restraint import bound_memory, give_way
from .table import Table
from .tap import overrides_on_add_stat
from .terms import Terms

log = logging.getLogger(__name__)

REFUSED = 2
"""The exit code where it cannot run as configured; `refused` on the control socket has said why."""
_SET_ASIDE = (
    "its process died several times in a row while it was in a call; mend or update it, and start the daemon "
    "anew"
)
_POLL_S = 1.0
_LOADED_WITHIN_S = 600.0
_LAST_CALLS_S = 1.3
_END_WITHIN_S = 1.8


class Process:
    """A writer's process, from its settings to its end."""

    def __init__(self, control: Control, settings: Settings) -> None:
        self._control = control
        self._settings = settings
        self._dispatcher: Dispatcher | None = None
        self._feed: FeedReceiver | None = None
        self._feeding = threading.Lock()

    def run(self) -> int:
        """Deliver until the server says drain; return the exit code."""
        self._control.start(self._server_is_gone)
        files = ProcessFiles(Path(self._settings.store).parent, self._settings.plugin)
        with files.lock.open("wb") as lock:
            # Another process of the plugin may still be in its last calls. Not inherited by its children.
            fcntl.lockf(lock, fcntl.LOCK_EX)
            try:
                return self._deliver(CallRecord(files.calls, restarted=self._settings.restarted))
            except (PluginError, SettingError, StoreError) as error:
                self._control.say("refused", why=str(error))
                return REFUSED

    def _deliver(self, calls: CallRecord) -> int:
        settings = self._settings
        table, options = Table.split(settings.plugin, settings.options)
        bound_memory(table.max_memory_bytes)
        _end_unless_again_within(_LOADED_WITHIN_S)
        plugin = self._loaded(calls, options)
        with closing(Store(Path(settings.store), durability="process")) as store:
            Outbox(store.database).note_plugin(settings.plugin, plugin.entry.state, plugin.entry.why)
            self._control.say("ready", plugin=asdict(plugin.entry))
            if plugin.entry.state != "loaded":
                return 0
            terms = Terms(
                Path(settings.store), settings.retry, settings.idle_s, calls.during, self._writers_made
            )
            give_way()
            self._dispatcher = dispatcher = Dispatcher(plugin, options, store, settings.results_dir, terms)
            while not self._control.draining:
                _end_unless_again_within(settings.frozen_s)
                dispatcher.tick()
                self._control.wait(_POLL_S)
            dispatcher.drain()
            while not dispatcher.join(_POLL_S):
                _end_unless_again_within(settings.frozen_s)
        return 0

    def _loaded(self, calls: CallRecord, options: Mapping[str, Any]) -> Plugin:
        key = self._settings.plugin
        (plugin,) = [plugin for plugin in discover(self._settings.selection) if plugin.entry.key == key]
        if calls.is_fatal and plugin.entry.state == "selected":
            return replace(plugin, entry=replace(plugin.entry, state="set aside", why=_SET_ASIDE))
        with calls.during():
            plugin = load(plugin)
            # Only our own are tried out: to make one of others may reach out to a service.
            if plugin.entry.distribution == OUR_WRITERS and plugin.entry.state == "loaded":
                rehearsed = rehearse(plugin, options)
                if rehearsed.entry.state == "failed":
                    raise PluginError(f"writer {key} refuses its options: {rehearsed.entry.why}")
        return plugin

    def _writers_made(self, run: str, writers: Sequence[StatsWriter]) -> None:
        tap = any(map(overrides_on_add_stat, writers))
        with self._feeding:
            if tap and self._feed is None and self._dispatcher:
                self._feed = FeedReceiver(self._settings.feed, self._dispatcher.queues_of)
                self._feed.start()
        made = [
            {"class": type(writer).__qualname__, "destination": _destination(writer)} for writer in writers
        ]
        self._control.say("writers", plugin=self._settings.plugin, run=run, tap=tap, writers=made)

    def _server_is_gone(self) -> None:
        # A plugin that hangs, or holds what is needed below, does not keep the process.
        threading.Thread(target=_exit_after, args=(_END_WITHIN_S,), daemon=True).start()
        log.error("the daemon is gone; the writer ends too, and goes on when it is started again")
        if self._dispatcher:
            self._dispatcher.stop(_LAST_CALLS_S)
        _flush()
        os._exit(1)


def _end_unless_again_within(seconds: float) -> None:
    """End the process, and print where it is, unless this is called again in time.

    A plugin may hold the interpreter's lock for ever; what looks after it here needs none.
    """
    try:
        faulthandler.dump_traceback_later(seconds, exit=True)
    except RuntimeError:
        pass  # a plugin has filled all memory that it may: there is some again, for this too, once it failed


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
    """Run a writer's process on the socket whose number is given."""
    parser = argparse.ArgumentParser(prog="python -m stats_aggregator.dispatch")
    parser.add_argument("--control-fd", type=int, required=True)
    arguments = parser.parse_args()
    # Handlers, not SIG_IGN: that would be inherited by the programs that plugins start.
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGTERM, _ignore)
    faulthandler.enable()
    log_printably(logging.INFO, "%(name)s: %(message)s")
    control = Control(socket.socket(fileno=arguments.control_fd))
    settings = control.settings()
    if settings is None:
        sys.exit(1)
    if not settings.restarted:
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    sys.exit(Process(control, settings).run())


if __name__ == "__main__":
    main()
