"""The client's settings, checked before anything is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from stats_aggregator_api import name_fault

from .errors import SettingError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5757"
OFF = "off"
ON_FULL = ("fold", "drop_oldest")
MIN_BUFFER_BYTES = 1 << 20

_ADDRESS_RIGHT = (
    "an address is tcp://HOST:PORT, ipc://PATH, @PATH of a file that `stats-aggregator serve --address-file` "
    "writes, or off"
)
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:.%\w]+\]|[\w.-]+):([0-9]{1,5})")


class Settings(NamedTuple):
    """What one client was told, all of it valid. `worker` and `run` are None where they were not given."""

    address: str
    worker: str | None
    run: str | None
    buffer_bytes: int
    on_full: str
    flush_interval_s: float
    ack_timeout_s: float
    close_timeout_s: float

    @property
    def off(self) -> bool:
        """Whether every call shall do nothing."""
        return self.address == OFF


def make_settings(
    address: str | None,
    worker: str | None,
    run: str | None,
    *,
    buffer_bytes: int,
    on_full: str,
    flush_interval_s: float,
    ack_timeout_s: float,
    close_timeout_s: float,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings, from the environment where an argument is None, or raise SettingError."""
    found_address = _chosen("address", address, "STATS_AGGREGATOR_ADDRESS", environment)
    found_worker = _chosen("worker", worker, "STATS_AGGREGATOR_WORKER", environment)
    found_run = _chosen("run", run, "STATS_AGGREGATOR_RUN_ID", environment)
    checked = check_address(found_address[0], found_address[1] or DEFAULT_ADDRESS)
    for setting, name in (found_worker, found_run):
        if name is not None and checked != OFF:  # whoever is off has no name
            check_name(setting, name)
    if not isinstance(buffer_bytes, int) or buffer_bytes < MIN_BUFFER_BYTES:
        raise SettingError("buffer_bytes", buffer_bytes, f"at least {MIN_BUFFER_BYTES} bytes are needed")
    if not isinstance(on_full, str) or on_full not in ON_FULL:
        raise SettingError("on_full", on_full, f"it is one of {', '.join(ON_FULL)}")
    for setting, seconds in (("flush_interval_s", flush_interval_s), ("ack_timeout_s", ack_timeout_s)):
        _check_seconds(setting, seconds, 0.001)
    _check_seconds("close_timeout_s", close_timeout_s, 0.0)
    return Settings(
        checked,
        found_worker[1],
        found_run[1],
        buffer_bytes,
        on_full,
        flush_interval_s,
        ack_timeout_s,
        close_timeout_s,
    )


def check_address(setting: str, address: str) -> str:
    """Return `address` if it is one, `off` in small letters, or raise SettingError."""
    if not isinstance(address, str):
        raise SettingError(setting, address, _ADDRESS_RIGHT)
    if address.lower() == OFF:
        return OFF
    tcp = _TCP.fullmatch(address)
    if tcp and 0 < int(tcp[2]) < 65536:
        return address
    if address.startswith(("@", "ipc://")) and address not in ("@", "ipc://"):
        return address
    raise SettingError(setting, address, _ADDRESS_RIGHT)


def check_name(setting: str, name: str) -> str:
    """Return `name` if a worker, run or category may be called so, or raise SettingError."""
    fault = name_fault(name) if isinstance(name, str) else "is no text"
    if fault:
        raise SettingError(setting, name, f"it {fault}; a name has 1 to 512 bytes of UTF-8, none of control")
    return name


def resolve(address: str) -> str | None:
    """Return the address to connect to: for `@PATH` what the file says now, or None while it says none."""
    if not address.startswith("@"):
        return address
    try:
        with open(address[1:], encoding="utf-8") as file:
            found = check_address(address, file.readline().strip())
    except (OSError, ValueError):
        return None
    return None if found == OFF or found.startswith("@") else found


def _chosen(
    argument: str, value: str | None, variable: str, environment: Mapping[str, str]
) -> tuple[str, str | None]:
    # The name that a complaint must use is the one under which the value was given.
    return (argument, value) if value is not None else (variable, environment.get(variable) or None)


def _check_seconds(setting: str, seconds: float, least: float) -> None:
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or not least <= seconds < 86_400 * 365
    ):
        raise SettingError(setting, seconds, f"it is a number of seconds, at least {least}")
