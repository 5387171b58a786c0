"""The status page: what `stats-aggregator status` shows of a daemon's reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..printable import printable
from ..server.status import LONG_CALL_S

_MAX_ROWS = 20
_WELL = ("up to date", "delivering", "waits for a run", "closed", "disabled")
Row = Mapping[str, Any]


def print_status(found: Row, console: Console) -> None:
    """Print a daemon's reply as a few lines and tables; names and errors are text there, never markup."""
    journal = found["journal"]
    if "store_error" in found:
        console.print(f"[red]{_text(found['store_error'])}[/]")
    console.print(
        f"[bold]{_text(found['state'])}[/] on {_text(found['address'])} for {found['uptime_s']:.0f} s, "
        f"{found['values_per_s']:,.0f} values/s; journal {journal['bytes'] / 1e6:,.1f} MB in "
        f"{journal['segments']} segments, last sync {journal['last_sync_ms']:.2f} ms"
    )
    if "http" in found:
        console.print(f"metrics on http://{_text(found['http']['address'])}/metrics")
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
    _rows(
        console, "workers", _first(found["workers"], lambda worker: worker["state"] != "alive"),
        ("run", "worker", "state", "heard_s_ago", "values", "values_per_s", "duplicates"),
    )  # fmt: skip
    _print_writers(console, found)
    _rows(console, "refused", [found["rejected"]] if found["rejected"] else [], tuple(found["rejected"]))


def _print_writers(console: Console, found: Row) -> None:
    """Print a row for each writer, and for each plugin that has none; below them what went wrong last."""
    plugins = {plugin["plugin"]: plugin for plugin in found["plugins"]}
    rows = [_writer(writer, plugins[writer["plugin"]]) for writer in found["writers"]]
    with_writers = {writer["plugin"] for writer in found["writers"]}
    rows += [
        _plugin(plugin)
        for name, plugin in plugins.items()
        if name not in with_writers and plugin["state"] != "disabled"
    ]
    rows = _first(rows, lambda row: row["is_troubled"])
    columns = ["writer", "run", "state", "delivered", "backlog"]
    # What is 0 or empty for all is not worth a column.
    columns += [
        name for name in ("set_aside", "skipped", "restarts", "pid") if any(row[name] for row in rows)
    ]
    _rows(console, "writers", rows, tuple(columns))
    for row in rows[:_MAX_ROWS]:
        if row["error"]:
            where = f"{row['writer']} in {row['run']}" if row["run"] else row["writer"]
            console.print(f"  {_text(where)}: {_text(_first_line(row['error']))}")


def _writer(writer: Row, plugin: Row) -> Row:
    state = writer["state"]
    runs = plugin["state"] == "loaded"
    return {
        **writer,
        "writer": writer["plugin"],
        "state": _doing(writer) if runs else _starting(plugin, state),
        "is_troubled": state not in _WELL,
        "restarts": plugin["restarts"],
        "pid": _pid(plugin, writer["in_call_s"]),
        "error": writer["last_error"] if runs else plugin["why"],
    }


def _plugin(plugin: Row) -> Row:
    state: str = plugin["state"]
    state = {"loaded": "waits for a run", "failed": "not loaded"}.get(state, state)
    return {
        "writer": plugin["plugin"],
        "run": "",
        "state": _starting(plugin, state),
        "is_troubled": state not in _WELL,
        "delivered": 0,
        "backlog": 0,
        "set_aside": 0,
        "skipped": 0,
        "restarts": plugin["restarts"],
        "pid": _pid(plugin, plugin["in_call_s"]),
        "error": plugin["why"],
    }


def _doing(writer: Row) -> str:
    """Return the state of a writer with what belongs to it."""
    if writer["state"] == "in a call":
        return f"in a call for {_span(writer['in_call_s'])}"
    if writer["state"] in ("retrying", "not made"):
        failures = "1 failure" if writer["failures"] == 1 else f"{writer['failures']} failures"
        return f"{writer['state']}: {failures}, next attempt in {_span(writer['retry_in_s'])}"
    return str(writer["state"])


def _starting(plugin: Row, state: str) -> str:
    if plugin["state"] == "starting" and plugin["in_call_s"] > LONG_CALL_S:
        return f"starting: being loaded for {_span(plugin['in_call_s'])}"
    return state


def _pid(plugin: Row, in_call_s: float) -> str:
    # Who wants to see where it hangs needs to know which process that is.
    return str(plugin["pid"]) if plugin["pid"] and in_call_s > LONG_CALL_S else ""


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _first(rows: Iterable[Row], is_first: Any) -> list[Row]:
    return sorted(rows, key=lambda row: not is_first(row))


def _rows(console: Console, title: str, rows: Sequence[Row], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        is_number = isinstance(rows[0][column], int | float)
        heading = column.replace("_", " ")
        # A narrow screen breaks lines within names, and leaves nothing out.
        table.add_column(
            heading,
            justify="right" if is_number else "left",
            style="default",
            overflow="fold",
            min_width=max(map(len, heading.split())),
        )
    for row in rows[:_MAX_ROWS]:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print()
    console.print(table)
    if len(rows) > _MAX_ROWS:
        console.print(f"and {len(rows) - _MAX_ROWS} more; --json shows all", style="dim")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else _text(_first_line(str(value)))


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _text(text: str) -> str:
    # Names and errors may hold brackets that are no markup, and what a terminal would obey.
    return escape(printable(text))
