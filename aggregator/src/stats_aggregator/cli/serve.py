"""`stats-aggregator serve`: the daemon."""

from __future__ import annotations

import logging
import os

import typer

from .. import failpoints
from ..errors import SettingError
from ..printable import log_printably
from ..server.config import Config
from ..server.server import Server
from .settings import takes_settings


@takes_settings
def serve(config: Config) -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    Settings come from --config FILE, then from STATS_AGGREGATOR_... variables, then from these options; the
    later counts. The line "listening on ADDRESS" says that it is ready.

    The first SIGTERM or Ctrl-C takes no more, closes the open time periods, and lets writers finish within
    --drain-timeout; a second one ends it at once.

    Exit codes: 0 all is written; 1 the data directory cannot be used (damaged, in use, on a network), or a
    disk or the program failed, and nothing acknowledged is lost; 2 a setting is wrong; 3 something waits in
    the data directory for the next start; 130 or 143 a second Ctrl-C or SIGTERM.
    """
    level = _log_level(os.environ.get("STATS_AGGREGATOR_LOG_LEVEL") or "INFO")
    log_printably(level)
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    server = Server(config)
    ready = (
        f"listening on {server.address} (run {server.run}, data in {config.data_dir}, "
        f"results in {config.results_dir}{f', metrics on {server.page}' if server.page else ''})"
    )
    raise typer.Exit(server.serve(on_ready=lambda: typer.echo(ready)))


def _log_level(name: str) -> int:
    level = logging.getLevelName(name.upper())
    if not isinstance(level, int):
        raise SettingError("STATS_AGGREGATOR_LOG_LEVEL", name, "DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level
