"""`stats-aggregator check`: would `serve` take these settings?"""

from __future__ import annotations

import typer

from ..dispatch.plugins import check_tables, discover, load
from ..dispatch.rehearsal import rehearse
from ..errors import PluginError
from ..printable import printable
from ..server.config import Config
from .settings import takes_settings


@takes_settings
def check(config: Config) -> None:
    """Check settings and plugins as `serve` would, and listen to nobody.

    Takes the options of `serve`. Writers that have options are made once, in a temporary directory. Exit
    codes: 0 settings and writers are right; 2 they are not. Neither data directory nor address is opened.
    """
    plugins = discover(config.selection)
    check_tables(plugins, config.writers)
    loaded = [load(plugin) for plugin in plugins]
    rehearsed = [rehearse(plugin, config.writers.get(plugin.entry.key, {})) for plugin in loaded]
    for before, after in zip(loaded, rehearsed, strict=True):
        if before.entry.state != after.entry.state:
            raise PluginError(f"writer {after.entry.key} refuses its options: {after.entry.why}")
    entries = [plugin.entry for plugin in rehearsed]
    failed = [entry for entry in entries if entry.state == "failed"]
    for entry in failed:
        typer.echo(f"warning: writer {entry} is skipped: {printable(entry.why)}", err=True)
    if failed and config.strict:
        raise PluginError(f"--strict: {len(failed)} writers do not load")
    names = ", ".join(entry.key for entry in entries if entry.state == "loaded") or "none"
    pages = f"; pages on {config.http}" if config.http else ""
    typer.echo(f"fine: would listen on {config.bind}{pages}; writers: {names}; data in {config.data_dir}")
