"""Log: what the client has to say goes through logging, where the process has it already.

Who has not imported logging has not configured it, and few workers have anything to say: it is not imported
for that. Then warnings and errors go to standard error as they are, as logging itself would have it.
"""

from __future__ import annotations

import sys

_SAID_ANYWAY = ("warning", "error")


class Log:
    """As much of a `logging.Logger` as the client needs; nothing that it cannot say is raised."""

    def debug(self, text: str, *args: object, exc_info: bool = False) -> None:
        """Say what helps to find a fault in the client."""
        _log("debug", text, args, exc_info)

    def info(self, text: str, *args: object) -> None:
        """Say what happens in the course of things."""
        _log("info", text, args)

    def warning(self, text: str, *args: object) -> None:
        """Say what somebody should know."""
        _log("warning", text, args)

    def error(self, text: str, *args: object) -> None:
        """Say what somebody should do something about."""
        _log("error", text, args)


LOGGER = Log()


def _log(level: str, text: str, args: tuple[object, ...], exc_info: bool | None = None) -> None:
    # While another thread is importing logging it stands there too; this function comes after what it needs.
    get_logger = getattr(sys.modules.get("logging"), "getLogger", None)
    if get_logger is not None:
        log = getattr(get_logger("stats_aggregator_client"), level)
        log(text, *args, exc_info=exc_info, stacklevel=3)  # where the client says it
    elif level in _SAID_ANYWAY:
        _write(text, args)


def _write(text: str, args: tuple[object, ...]) -> None:
    try:
        sys.stderr.write(f"{text % args if args else text}\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - it may be closed, or None, and a foreign repr may raise anything
        pass
