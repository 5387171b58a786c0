"""The command line: `stats-aggregator serve | demo | status | plugins | check`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import AcknowledgedGone, DataDirectoryError, JournalError, StatsAggregatorError, StoreError
from ..printable import printable
from .check import check
from .demo import demo
from .plugins import plugins
from .serve import serve
from .status import status

_DISK_FAULTS = (AcknowledgedGone, DataDirectoryError, JournalError, StoreError)

app = typer.Typer(
    help="Pools the raw stats of parallel training workers into one true number a period, for any writer.",
    epilog="Begin with `stats-aggregator demo`; then `stats-aggregator serve` and the README's five lines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, demo, status, check):
    app.command()(command)
app.add_typer(plugins, name="plugins")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stats-aggregator {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2.

    A data directory that cannot be used, whatever the reason, is 1, as what fails later is.
    """
    try:
        app()
    except StatsAggregatorError as error:
        typer.echo(f"error: {printable(str(error))}", err=True)
        sys.exit(1 if isinstance(error, _DISK_FAULTS) else 2)
