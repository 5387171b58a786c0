"""Loggers as ML-Agents' `logging_util` makes them: `[INFO] text` on standard output."""

from __future__ import annotations

import logging
import sys

LOG_FORMAT = "[%(levelname)s] %(message)s"
DEBUG_LOG_FORMAT = "%(asctime)s %(levelname)s [%(filename)s:%(lineno)d] %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


class StdoutHandler(logging.Handler):
    """Prints where `print` does, also where standard output is another by then."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - as every handler: what cannot be logged stops nobody
            self.handleError(record)


_loggers: dict[str, tuple[logging.Logger, logging.Handler]] = {}
_level = logging.INFO


def get_logger(name: str) -> logging.Logger:
    """Return the logger of this name; it prints to standard output, and each message once."""
    if name not in _loggers:
        logger, handler = logging.getLogger(name), StdoutHandler()
        # The daemon's own log has a handler too: what it says would stand there a second time.
        logger.propagate = False
        logger.addHandler(handler)
        _loggers[name] = (logger, handler)
        _configure(logger, handler)
    return _loggers[name][0]


def set_log_level(log_level: int) -> None:
    """Set the level of all these loggers; at DEBUG they tell time and place too."""
    global _level
    _level = log_level
    for logger, handler in _loggers.values():
        _configure(logger, handler)


def _configure(logger: logging.Logger, handler: logging.Handler) -> None:
    logger.setLevel(_level)
    if _level == logging.DEBUG:
        handler.setFormatter(logging.Formatter(DEBUG_LOG_FORMAT, DATE_FORMAT))
    else:
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
