"""Loggers."""

from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, NOTSET, WARNING

from stats_aggregator_mlagents.loggers import (
    DATE_FORMAT,
    DEBUG_LOG_FORMAT,
    LOG_FORMAT,
    get_logger,
    set_log_level,
)

__all__ = [
    "CRITICAL",
    "DATE_FORMAT",
    "DEBUG",
    "DEBUG_LOG_FORMAT",
    "ERROR",
    "FATAL",
    "INFO",
    "LOG_FORMAT",
    "NOTSET",
    "WARNING",
    "get_logger",
    "set_log_level",
]
