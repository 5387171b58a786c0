"""Rehearsal: would a plugin take its options? Its writers are made once, in a temporary directory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stats_aggregator_api import CheckpointSettings, RunOptions

from .plugins import Plugin, make_writers
from .table import Table


def rehearse(plugin: Plugin, table: Mapping[str, Any]) -> Plugin:
    """Return a loaded plugin as it is, or "failed" with what it says of its table `[writers.NAME]`.

    Raises SettingError for the daemon's own settings in that table. A plugin without options is not made:
    making one may reach out to a service.
    """
    _, options = Table.split(plugin.entry.key, table)
    if plugin.entry.state != "loaded" or not options:
        return plugin
    with tempfile.TemporaryDirectory() as directory:
        settings = CheckpointSettings(results_dir=directory)
        run_options = RunOptions(checkpoint_settings=settings, plugin_options=options)
        try:
            for writer in make_writers(plugin, run_options):
                writer.close()
        except Exception as error:  # noqa: BLE001 - the code is not ours, and whatever it raises is its answer
            why = f"{type(error).__name__}: {error}"
            return replace(plugin, entry=replace(plugin.entry, state="failed", why=why))
    return plugin
