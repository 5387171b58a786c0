"""Addresses: where a daemon may listen, and who could reach it there."""

from __future__ import annotations

import ipaddress
import re

from ..errors import SettingError

_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]/:;\s]+):(?P<port>\d{1,5})")


def check_bind(setting: str, address: str, auth: str) -> None:
    """Raise SettingError where the address is none, or is open to others and nothing guards it."""
    if address.startswith("ipc://") and len(address) > len("ipc://"):
        return
    found = _TCP.fullmatch(address)
    if not found or int(found["port"]) > 65535:
        raise SettingError(
            setting,
            address,
            "tcp://HOST:PORT (port 0: any free one) such as tcp://127.0.0.1:5757, or ipc://PATH",
        )
    if auth != "off" and not _is_loopback(found["host"]):
        raise SettingError(
            setting,
            address,
            "a loopback address such as tcp://127.0.0.1:5757: this one is open to other machines, and "
            "whoever reaches it can send stats. On a network that you trust, add --auth off",
        )


def reachable_address(address: str, host_name: str) -> str:
    """Return the address for workers elsewhere: one that listens everywhere is reached by the host's name."""
    for everywhere in ("tcp://0.0.0.0:", "tcp://[::]:"):
        if address.startswith(everywhere):
            return f"tcp://{host_name}:{address.removeprefix(everywhere)}"
    return address


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, an interface or *: who could reach it is unknown
