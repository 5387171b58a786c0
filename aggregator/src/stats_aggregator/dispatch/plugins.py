"""Plugins: which are installed, which of them are selected, and what they are when loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from stats_aggregator_api import (
    ADAPTER_GROUP,
    ML_AGENTS_STATS_WRITER,
    STATS_WRITER_GROUP,
    Adapter,
    RunOptions,
    StatsWriter,
)

from ..errors import RegistrationFault, UnknownWriter

OUR_WRITERS = "stats-aggregator-writers"
"""The distribution of the standard writers; all others are third parties."""
DEFAULT_WRITERS = ("console", "tensorboard")
"""The standard writers that run unless told otherwise."""
OUR_CLIENT = "stats-aggregator-client"
"""The distribution of the client, whose entry is for ML-Agents' trainers: here it would go in circles."""
ML_AGENTS = "mlagents"
"""The distribution of ML-Agents, whose own writers do what our default ones do."""

Register = Callable[[RunOptions], list[StatsWriter]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which writers to run: the exact list of `--writer`, or the default, adjusted by name."""

    writers: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def check(self, known: Iterable[str]) -> None:
        """Raise UnknownWriter for a name that is none of `known`."""
        names = set(known)
        for option, asked in (
            ("--writer", self.writers),
            ("--add-writer", self.add),
            ("--no-writer", self.remove),
        ):
            for name in asked:
                if name not in names:
                    raise UnknownWriter(option, name, names)

    def selects(self, name: str, distribution: str) -> bool:
        """Return whether the writer `name` of `distribution` is to run."""
        if name in self.remove:
            return False
        if name in self.add or name in self.writers:
            return True
        if distribution == OUR_WRITERS:
            return not self.writers and name in DEFAULT_WRITERS
        return not self.writers and distribution != ML_AGENTS


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """An installed plugin. `state` is "selected", "disabled", "loaded" or "failed"; `why` explains the last.

    `key` is its name, or `name@distribution` where another distribution has the same name. `value` is
    `module:function`.
    """

    key: str
    name: str
    group: str
    distribution: str
    version: str
    value: str
    state: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.key} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry with what it takes to run it; `register` makes the writers of a run once it is loaded."""

    entry: PluginEntry
    entry_point: EntryPoint = field(repr=False)
    adapter: EntryPoint | None = field(default=None, repr=False)
    register: Register | None = field(default=None, repr=False)


def discover(selection: Selection = Selection()) -> list[Plugin]:
    """Return all installed plugins of both groups by name, none of them loaded.

    Raises UnknownWriter where the selection names one that is not installed.
    """
    found = sorted(_installed(), key=_rank)
    selection.check(entry_point.name for entry_point in found)
    adapter = _adapter_entry()
    plugins: dict[str, Plugin] = {}
    for entry_point in found:
        entry = _entry(entry_point, selection, adapter)
        first = plugins.get(entry.name)
        if first and first.entry.distribution == entry.distribution:
            entry = replace(entry, state="disabled", why=f"it is registered in {STATS_WRITER_GROUP} too")
        if first:
            clash = f"{first.entry.distribution} has a writer of this name too"
            entry = replace(entry, key=f"{entry.name}@{entry.distribution}", why=entry.why or clash)
        plugins.setdefault(entry.key, Plugin(entry, entry_point, _adapter_of(entry, adapter)))
    return sorted(plugins.values(), key=lambda plugin: plugin.entry.key)


def check_tables(plugins: Iterable[Plugin], tables: Iterable[str]) -> None:
    """Raise UnknownWriter for a table `[writers.NAME]` of a plugin that is not installed."""
    keys = {plugin.entry.key for plugin in plugins}
    for name in tables:
        if name not in keys:
            raise UnknownWriter("the table [writers.NAME] for", name, keys)


def load(plugin: Plugin) -> Plugin:
    """Import a selected plugin; it comes back "loaded", or "failed" with the reason. Others are not touched.

    What it raises is caught, but KeyboardInterrupt and SystemExit are not.
    """
    entry = plugin.entry
    if entry.state != "selected":
        return plugin
    try:
        register = _register_of(plugin)
    except Exception as error:  # noqa: BLE001 - the code is not ours, and whatever it raises is its failure
        return replace(plugin, entry=replace(entry, state="failed", why=f"{type(error).__name__}: {error}"))
    if not callable(register):
        why = f"{entry.value} is {register!r:.80}, no function that takes RunOptions"
        return replace(plugin, entry=replace(entry, state="failed", why=why))
    return replace(plugin, entry=replace(entry, state="loaded"), register=register)


def build_path() -> str | None:
    """Return the directory of modules that plugins of another system may import while they are built."""
    entry = _adapter_entry()
    if entry is None:
        return None
    adapter: Adapter = entry.load()()
    return adapter.build_path()


def make_writers(plugin: Plugin, run_options: RunOptions) -> list[StatsWriter]:
    """Call the registration function of a loaded plugin for a run.

    Raises RegistrationFault where it returns no list of StatsWriter, and whatever the function raises.
    """
    if plugin.register is None:
        raise RegistrationFault(f"{plugin.entry} is not loaded")
    made: Any = plugin.register(run_options)
    if not isinstance(made, list):
        raise RegistrationFault(f"{plugin.entry.value} returned {made!r:.80}, no list of StatsWriter")
    for writer in made:
        if not isinstance(writer, StatsWriter):
            raise RegistrationFault(
                f"{plugin.entry.value} returned a list with {writer!r:.80}, which is no StatsWriter"
            )
    return made


def _register_of(plugin: Plugin) -> Register:
    if plugin.adapter is None:
        register: Register = plugin.entry_point.load()
        return register
    adapter: Adapter = plugin.adapter.load()()
    return adapter.load(plugin.entry_point)


def _adapter_entry() -> EntryPoint | None:
    return next(iter(entry_points(group=ADAPTER_GROUP, name=ML_AGENTS_STATS_WRITER)), None)


def _installed() -> Iterator[EntryPoint]:
    for group in (STATS_WRITER_GROUP, ML_AGENTS_STATS_WRITER):
        for entry_point in entry_points(group=group):
            if _distribution(entry_point)[0] != OUR_CLIENT:
                yield entry_point


def _rank(entry_point: EntryPoint) -> tuple[bool, bool, str]:
    # The first of several with one name keeps it bare: our own, then our group's, then by distribution.
    distribution = _distribution(entry_point)[0]
    return distribution != OUR_WRITERS, entry_point.group != STATS_WRITER_GROUP, distribution


def _entry(entry_point: EntryPoint, selection: Selection, adapter: EntryPoint | None) -> PluginEntry:
    distribution, version = _distribution(entry_point)
    state, why = "disabled", "not named by --writer or --add-writer"
    if entry_point.name in selection.remove:
        why = "named by --no-writer"
    elif distribution == ML_AGENTS and not selection.writers:
        why = "console and tensorboard do what it does; --add-writer names it all the same"
    if selection.selects(entry_point.name, distribution):
        state, why = "selected", ""
        if entry_point.group == ML_AGENTS_STATS_WRITER and adapter is None:
            state, why = "failed", "needs an adapter: install stats-aggregator-mlagents"
    return PluginEntry(
        key=entry_point.name, name=entry_point.name, group=entry_point.group, distribution=distribution,
        version=version, value=entry_point.value, state=state, why=why,
    )  # fmt: skip


def _adapter_of(entry: PluginEntry, adapter: EntryPoint | None) -> EntryPoint | None:
    return adapter if entry.group == ML_AGENTS_STATS_WRITER else None


def _distribution(entry_point: EntryPoint) -> tuple[str, str]:
    found = entry_point.dist
    if found is None:
        return "unknown", ""
    name = found.metadata["Name"] or "unknown"
    return re.sub(r"[-_.]+", "-", name).lower(), found.version or ""
