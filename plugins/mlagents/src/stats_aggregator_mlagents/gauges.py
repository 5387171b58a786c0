"""Gauges: ML-Agents keeps them for the timing report of its trainer, and here is no trainer."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def set_gauge(name: str, value: float, timer_stack: Any = None) -> None:
    """Log the gauge at level debug; nothing is kept."""
    log.debug("gauge %s is %r", name, value)
