"""`stats-aggregator check`: would `serve` start with these settings?"""

from __future__ import annotations

import typer

from ..dispatch.plugins import discover, load
from ..errors import PluginError
from ..server.config import Config
from .settings import takes_settings


@takes_settings
def check(config: Config) -> None:
    """Check settings and plugins as `serve` would, and open nothing.

    Takes the options of `serve`. Exit codes: 0 it would start; 2 it would not.
    """
    entries = [load(plugin).entry for plugin in discover(config.selection)]
    failed = [entry for entry in entries if entry.state == "failed"]
    for entry in failed:
        typer.echo(f"warning: writer {entry} is skipped: {entry.why}", err=True)
    if failed and config.strict:
        raise PluginError(f"--strict: {len(failed)} writers do not load")
    loaded = ", ".join(entry.key for entry in entries if entry.state == "loaded") or "none"
    typer.echo(f"fine: would listen on {config.bind}; writers: {loaded}; data in {config.data_dir}")
