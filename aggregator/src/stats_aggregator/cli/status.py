"""`stats-aggregator status`: ask a running daemon how it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional

import typer
import zmq
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stats_aggregator_client.wire import Status, StatusReply, WireError, decode, encode

from ..server.config import DEFAULT_BIND
from .screen import wide_console

_MAX_ROWS = 20
_LONG_CALL_S = 5.0


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
    found = ask(where, timeout)
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
        _print(found, wide_console())
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


def ask(address: str, timeout_s: float) -> Mapping[str, Any] | None:
    """Return the status of the daemon at `address`, or None where it does not answer in time."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.IPV6, "[" in address)
        try:
            dealer.connect(address)
        except zmq.ZMQError as error:
            typer.echo(f"error: {address} is no address: {error.strerror}", err=True)
            raise typer.Exit(2) from None
        dealer.send(encode(Status()))
        if not dealer.poll(int(timeout_s * 1000)):
            return None
        try:
            reply = decode(dealer.recv())
        except WireError:
            return None  # something else listens there
        return reply.status if isinstance(reply, StatusReply) else None


def _print(found: Mapping[str, Any], console: Console) -> None:
    journal = found["journal"]
    if "store_error" in found:
        console.print(f"[red]{escape(found['store_error'])}[/]")
    console.print(
        f"[bold]{found['state']}[/] on {found['address']} for {found['uptime_s']:.0f} s, "
        f"{found['values_per_s']:,.0f} values/s; journal {journal['bytes'] / 1e6:,.1f} MB in "
        f"{journal['segments']} segments, last sync {journal['last_sync_ms']:.2f} ms"
    )
    runs = [
        {**run, "workers": ", ".join(f"{num} {state}" for state, num in run["workers"].items() if num)}
        for run in found["runs"]
    ]
    _rows(
        console,
        "runs",
        runs,
        ("run", "workers", "values_per_s", "categories", "open_periods", "waiting_values"),
    )
    _rows(
        console, "categories", found["categories"],
        ("run", "category", "ends_by", "step", "periods_closed", "open_periods", "waiting_values", "series"),
    )  # fmt: skip
    troubled = [worker for worker in found["workers"] if worker["state"] != "alive"]
    _rows(
        console, "workers", [*troubled, *(w for w in found["workers"] if w["state"] == "alive")],
        ("run", "worker", "state", "heard_s_ago", "values", "values_per_s", "duplicates"),
    )  # fmt: skip
    _rows(
        console, "writers", found["writers"],
        ("plugin", "run", "state", "failures", "retry_in_s", "delivered", "backlog", "set_aside", "skipped",
         "last_error"),
    )  # fmt: skip
    odd = [
        {**plugin, "pid": str(plugin["pid"] or "")}
        for plugin in found["plugins"]
        if plugin["restarts"] or plugin["in_call_s"] > _LONG_CALL_S
    ]
    _rows(console, "processes of writers", odd, ("plugin", "pid", "restarts", "in_call_s"))
    failed = [plugin for plugin in found["plugins"] if plugin["state"] in ("failed", "set aside")]
    _rows(console, "plugins that do not run", failed, ("plugin", "distribution", "state", "why"))
    _rows(console, "refused", [found["rejected"]] if found["rejected"] else [], tuple(found["rejected"]))


def _rows(console: Console, title: str, rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        is_number = isinstance(rows[0][column], int | float)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", style="default")
    for row in rows[:_MAX_ROWS]:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print()
    console.print(table)
    if len(rows) > _MAX_ROWS:
        console.print(f"and {len(rows) - _MAX_ROWS} more; --json shows all", style="dim")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    # Names and errors may hold brackets that are no markup.
    return f"{value:,}" if isinstance(value, int) else escape(str(value).splitlines()[0]) if value else ""
