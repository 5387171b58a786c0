"""`stats-aggregator plugins`: which writers are installed, what becomes of them, and one more."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape
from rich.table import Table

from ..dispatch.plugins import PluginEntry, discover, load
from ..printable import printable
from ..server.config import load_config
from .install import install
from .screen import wide_console

plugins = typer.Typer(add_completion=False)
plugins.command()(install)


@plugins.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    config: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads annotations at run time, on 3.10 too
        typer.Option(metavar="FILE", help="The daemon's TOML file, for its choice of writers."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the installed writer plugins, and whether a daemon would load them.

    Each plugin that would run is imported, to see whether it loads.
    """
    if context.invoked_subcommand is not None:
        return
    selection = load_config({}, os.environ, config).selection
    entries = [load(plugin).entry for plugin in discover(selection)]
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    wide_console().print(_table(entries))


def _table(entries: list[PluginEntry]) -> Table:
    table = Table("name", "state", "distribution", "version", "group", "why", box=None, pad_edge=False)
    colours = {"loaded": "green", "failed": "red"}
    for entry in entries:
        colour = colours.get(entry.state, "dim")
        table.add_row(
            escape(entry.key),
            f"[{colour}]{entry.state}[/]",
            entry.distribution,
            entry.version,
            entry.group,
            escape(printable(entry.why)),
        )
    return table
