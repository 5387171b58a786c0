"""Log: what the client has to say goes through logging, where the process has it already.

Who has not imported logging has not configured it, and few workers have anything to say: it is not imported
for that. Then warnings and errors go to standard error as they are, as logging itself would have it.
"""

from __future__ import annotations

import sys
from typing import Any


class Log:
    """As much of a `logging.Logger` as the client needs; nothing that it cannot say is raised."""

    def debug(self, text: str, *args: object, exc_info: bool = False) -> None:
        """Say what helps to find a fault in the client."""
        logger = _logger()
        if logger is not None:
            logger.debug(text, *args, exc_info=exc_info, stacklevel=2)

    def info(self, text: str, *args: object) -> None:
        """Say what happens in the course of things."""
        logger = _logger()
        if logger is not None:
            logger.info(text, *args, stacklevel=2)

    def warning(self, text: str, *args: object) -> None:
        """Say what somebody should know."""
        logger = _logger()
        if logger is not None:
            logger.warning(text, *args, stacklevel=2)
        else:
            _say(text, args)

    def error(self, text: str, *args: object) -> None:
        """Say what somebody should do something about."""
        logger = _logger()
        if logger is not None:
            logger.error(text, *args, stacklevel=2)
        else:
            _say(text, args)


LOGGER = Log()


def _logger() -> Any | None:
    # While another thread is importing logging it stands there too; this function comes after what it needs.
    get_logger = getattr(sys.modules.get("logging"), "getLogger", None)
    return get_logger and get_logger("stats_aggregator_client")


def _say(text: str, args: tuple[object, ...]) -> None:
    try:
        sys.stderr.write(f"{text % args if args else text}\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - it may be closed, or None, and a foreign repr may raise anything
        pass
