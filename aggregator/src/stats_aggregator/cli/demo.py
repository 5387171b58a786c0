"""`stats-aggregator demo`: real workers, one daemon, and a view of both."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..clock import Clock


def demo(
    seconds: Annotated[float, typer.Option(min=3, max=3600, help="How long the workers train.")] = 20,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes train.")] = 4,
    results_dir: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            writable=True,
            help="What is written goes below DIR/demo-DATE-TIME.",
        ),
    ] = Path("results"),
) -> None:
    """Watch workers train CartPole while one daemon pools their stats.

    Each worker is a process of its own that searches for a policy; Ctrl-C ends all of them.

    Exit codes: 0 every episode was counted once; 1 something failed; 2 Gymnasium is missing; 130 Ctrl-C.
    """
    if importlib.util.find_spec("gymnasium") is None:
        typer.echo(
            "error: the demo trains in Gymnasium, which is missing: pip install 'stats-aggregator[demo]'",
            err=True,
        )
        raise typer.Exit(2)
    # Here, since every other command would wait for it too.
    from ..demo.demonstration import Demonstration, Plan

    raise typer.Exit(Demonstration(Plan(seconds, workers, results_dir), Console(), Clock()).show())
