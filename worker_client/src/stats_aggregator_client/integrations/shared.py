"""What the adapters share: the client and the names that they take where none are given."""

from __future__ import annotations

import sys
from pathlib import Path

from ..client import StatsClient
from ..complaints import LOGGER
from ..default import default_client as configured_client
from ..errors import SettingError


def default_client() -> StatsClient:
    """Return the default client, or one that is off where the environment has it wrong, which is said."""
    try:
        return configured_client()
    except SettingError as error:
        LOGGER.error("no stats are sent: %s", error)
        return StatsClient("off")


def script_name() -> str:
    """Return the name of the script, which is the same in all ranks."""
    return Path(sys.argv[0] if sys.argv else "").stem or "training"
