"""The options that `serve` and `check` share, declared once."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..server.config import Config, load_config

Text = Optional[str]  # noqa: UP045 - typer reads annotations at run time, on 3.10 too
Names = Optional[list[str]]  # noqa: UP045


def _settings(
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="A TOML file: settings, and the options of writers."),
    ] = None,
    bind: Annotated[
        Text,
        typer.Option(
            metavar="ADDRESS",
            show_default="tcp://127.0.0.1:5757",
            help="Where workers connect; port 0 takes a free one.",
        ),
    ] = None,
    http: Annotated[
        Text,
        typer.Option(
            metavar="ADDRESS",
            show_default="off",
            help="HOST:PORT that serves /metrics for Prometheus, /healthz and /readyz.",
        ),
    ] = None,
    address_file: Annotated[
        Text,
        typer.Option(metavar="PATH", help="Write the bound address here, for workers on other machines."),
    ] = None,
    data_dir: Annotated[
        Text,
        typer.Option(
            metavar="DIR",
            show_default="$SLURM_TMPDIR, else the user's state directory",
            help="Journal and store, on a local disk.",
        ),
    ] = None,
    results_dir: Annotated[
        Text, typer.Option(metavar="DIR", show_default="results", help="Where writers write, below DIR/RUN.")
    ] = None,
    run_id: Annotated[
        Text,
        typer.Option(
            metavar="ID",
            show_default="made anew, kept until a clean stop",
            help="The run of workers that name none.",
        ),
    ] = None,
    every: Annotated[
        Text,
        typer.Option(
            metavar="SPEC",
            show_default="auto",
            help='What ends a period: "auto" (as the producer says), "10s", "50000 steps", "manual".',
        ),
    ] = None,
    grace: Annotated[
        Text,
        typer.Option(metavar="SPEC", show_default="2s", help="How long a period waits for the last workers."),
    ] = None,
    writer: Annotated[
        Names, typer.Option(metavar="NAME", help="Exactly these writers; may be repeated.")
    ] = None,
    add_writer: Annotated[
        Names, typer.Option(metavar="NAME", help="This writer beside the default ones; may be repeated.")
    ] = None,
    no_writer: Annotated[
        Names, typer.Option(metavar="NAME", help="Not this writer; may be repeated.")
    ] = None,
    durability: Annotated[
        Text,
        typer.Option(
            metavar="LEVEL",
            show_default="full",
            help="What acknowledged values survive: full (power loss), process (kill -9), none.",
        ),
    ] = None,
    auth: Annotated[
        Text,
        typer.Option(
            metavar="off", help="Let anybody in who reaches the address; needed where it is not loopback."
        ),
    ] = None,
    drain_timeout: Annotated[
        Text, typer.Option(metavar="SPEC", show_default="8s", help="How long writers may finish at the end.")
    ] = None,
    close_on_stop: Annotated[
        bool,
        typer.Option("--close-on-stop", help="Close all open periods at the end, not only those of time."),
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Go on though files of the data directory are gone; what is lost is said as far as known.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A writer that fails to load is an error, not a warning.")
    ] = False,
) -> None: ...


def takes_settings(command: Callable[[Config], None]) -> Callable[..., None]:
    """Return `command` with the options of the settings; it is given the config that they make."""

    def run(**flags: Any) -> None:
        # A flag that was not set must not hide what the file or the environment says.
        given = {name: value for name, value in flags.items() if name != "config" and value is not False}
        command(load_config(given, os.environ, flags["config"]))

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.signature(_settings, eval_str=True)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run
