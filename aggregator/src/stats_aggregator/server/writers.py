"""Writers: the processes of all plugins, one for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dispatch.calls import calls_under_way
from ..dispatch.control import Settings
from ..dispatch.plugins import OUR_WRITERS, PluginEntry
from ..dispatch.process_files import ProcessFiles
from ..dispatch.table import Table
from ..errors import PluginError
from ..store.outbox import PluginRow
from .status import ProcessState
from .writer_process import WriterProcess

log = logging.getLogger(__name__)

_LOAD_TIMEOUT_S = 60.0


class Writers:
    """Starts and ends them together, and logs what they say of themselves.

    `common` are the settings that all have in common, `tables` those of each from the configuration file;
    `on_tap` is called, on any thread, when a writer asks for the raw values.
    """

    def __init__(
        self,
        entries: Sequence[PluginEntry],
        common: Settings,
        tables: Mapping[str, Mapping[str, Any]],
        on_tap: Callable[[], None],
    ) -> None:
        self._on_tap = on_tap
        self._tried = {entry.key for entry in entries if entry.distribution == OUR_WRITERS} & set(tables)
        self._failed: list[str] = []
        each = [replace(common, plugin=entry.key, options=tables.get(entry.key, {})) for entry in entries]
        self._processes = [WriterProcess(settings, self._on_event) for settings in each]
        data_dir = Path(common.store).parent
        self._records = {entry.key: ProcessFiles(data_dir, entry.key).calls for entry in entries}

    def start(self) -> None:
        """Start all processes."""
        for process in self._processes:
            process.start()

    def check(self, *, strict: bool) -> None:
        """Wait until it is known whether those that can be tried take their options.

        With `strict`, whether all can be loaded. Raises PluginError where one does not, or cannot.
        """
        deadline_s = time.monotonic() + _LOAD_TIMEOUT_S
        for process in self._processes:
            if not strict and process.plugin not in self._tried:
                continue
            if not process.wait_ready(max(deadline_s - time.monotonic(), 0.0)):
                raise PluginError(f"writer {process.plugin} was not loaded within {_LOAD_TIMEOUT_S:g} s")
            if process.refused is not None:
                raise PluginError(process.refused)
        if strict and self._failed:
            raise PluginError("; ".join(self._failed))

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "ready":
            plugin = event["plugin"]
            if plugin["state"] != "loaded":
                named = f"writer {plugin['key']} of {plugin['distribution']}"
                self._failed.append(f"{named}: {plugin['why']}")
                log.warning("%s is skipped: %s", named, plugin["why"])
        elif event["event"] == "writers":
            for writer in event["writers"]:
                where = f" to {writer['destination']}" if writer.get("destination") else ""
                log.info("writer %s writes run %s%s", event["plugin"], event["run"], where)
            if event["tap"]:
                self._on_tap()
        elif event["event"] == "refused":
            log.error("a writer does not run: %s", event["why"])

    def wake(self) -> None:
        """Say that something new is stored."""
        for process in self._processes:
            process.wake()

    def calls(self) -> dict[str, tuple[int, float]]:
        """Return of each plugin that runs its process, and the seconds of its longest call, 0 for none."""
        found = ((process.plugin, process.pid) for process in self._processes)
        return {
            plugin: (pid, max(calls_under_way(self._records[plugin], pid).values(), default=0.0))
            for plugin, pid in found
            if pid is not None
        }

    def describe(self) -> dict[str, ProcessState]:
        """Return by plugin what `status` tells of its process."""
        return {process.plugin: self._state(process) for process in self._processes}

    def _state(self, process: WriterProcess) -> ProcessState:
        pid = process.pid
        calls = calls_under_way(self._records[process.plugin], pid) if pid is not None else {}
        return ProcessState(process.state, process.why, pid, process.restarts, calls)

    def drain(self, timeout_s: float) -> None:
        """Let all plugins take what is stored, side by side; after `timeout_s` their processes are ended."""
        deadline_s = time.monotonic() + timeout_s
        for process in self._processes:
            process.ask_to_drain()
        for process in self._processes:
            process.join(deadline_s)
        for plugin, (_, seconds) in self.calls().items():
            log.warning(
                "writer %s is ended%s; what it has not taken is delivered after the next start",
                plugin, f": it has not returned for {seconds:.0f} s" if seconds >= 1 else ", and is not done",
            )  # fmt: skip
        self.close()

    def close(self) -> None:
        """End all processes at once; closing twice is fine."""
        for process in self._processes:
            process.end()


def row_of(entry: PluginEntry, table: Mapping[str, Any]) -> PluginRow:
    """Return what the store notes of a plugin at the start; raise SettingError for our part of its table."""
    ours, _ = Table.split(entry.key, table)
    state = "starting" if entry.state == "selected" else entry.state
    return PluginRow(
        entry.key, entry.distribution, entry.version, state, entry.why, ours.max_backlog,
        ours.max_backlog_age_ns, ours.replay,
    )  # fmt: skip
