"""`stats-aggregator status`: ask a running daemon how it is."""

from __future__ import annotations

import json
import os
from typing import Annotated, Optional

import typer
import zmq

from ..inquiry import ask
from ..server.config import DEFAULT_BIND
from .screen import wide_console
from .status_page import print_status


def status(
    address: Annotated[
        Optional[str],  # noqa: UP045 - typer reads annotations at run time, on 3.10 too
        typer.Option(
            metavar="ADDRESS",
            show_default=f"$STATS_AGGREGATOR_ADDRESS, else {DEFAULT_BIND}",
            help="Where the daemon listens; @PATH reads it from an address file.",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Ask a running daemon for its runs, workers, periods, journal and writers.

    Exit codes, for a health check: 0 it takes values; 1 it does not answer, or waits for room on its disk.
    """
    where = _resolved(address or os.environ.get("STATS_AGGREGATOR_ADDRESS") or DEFAULT_BIND)
    try:
        found = ask(where, timeout)
    except zmq.ZMQError as error:
        typer.echo(f"error: {where} is no address: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if found is None:
        typer.echo(
            f"error: no daemon answers on {where} within {timeout:g} s; "
            "start one with `stats-aggregator serve`",
            err=True,
        )
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_status(found, wide_console())
    raise typer.Exit(0 if found["state"] == "running" else 1)


def _resolved(address: str) -> str:
    # As the client reads it: @PATH is a file that holds the address.
    if not address.startswith("@"):
        return address
    try:
        with open(address[1:]) as file:
            return file.read().strip()
    except OSError as error:
        typer.echo(f"error: the address file {address[1:]} cannot be read: {error.strerror}", err=True)
        raise typer.Exit(1) from None
