"""Addresses: where a daemon may listen, and who could reach it there."""

from __future__ import annotations

import ipaddress
import re

from ..errors import SettingError

_HOST_PORT = r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]/:;\s]+):(?P<port>\d{1,5})"
_TCP, _HTTP = re.compile(f"tcp://{_HOST_PORT}"), re.compile(_HOST_PORT)


def check_bind(setting: str, address: str, auth: str) -> None:
    """Raise SettingError where the address is none, or is open to others and nothing guards it."""
    if address.startswith("ipc://") and len(address) > len("ipc://"):
        return
    right = "tcp://HOST:PORT (port 0: any free one) such as tcp://127.0.0.1:5757, or ipc://PATH"
    host = _parsed(setting, address, _TCP, right)[0]
    if auth != "off":
        _check_closed(setting, address, host, "tcp://127.0.0.1:5757", "send stats")


def check_http(setting: str, address: str, auth: str) -> None:
    """Raise SettingError as `check_bind` does, for the address of the pages."""
    host = host_and_port(setting, address)[0]
    if auth != "off":
        _check_closed(setting, address, host, "127.0.0.1:5758", "read stats")


def host_and_port(setting: str, address: str) -> tuple[str, int]:
    """Return the two parts of HOST:PORT; raise SettingError where the address is none."""
    right = "HOST:PORT (port 0: any free one) such as 127.0.0.1:5758"
    return _parsed(setting, address, _HTTP, right)


def _parsed(setting: str, address: str, pattern: re.Pattern[str], right: str) -> tuple[str, int]:
    found = pattern.fullmatch(address)
    if not found or int(found["port"]) > 65535:
        raise SettingError(setting, address, right)
    return found["host"], int(found["port"])


def _check_closed(setting: str, address: str, host: str, closed: str, what: str) -> None:
    if not _is_loopback(host):
        raise SettingError(
            setting,
            address,
            f"a loopback address such as {closed}: this one is open to other machines, and "
            f"whoever reaches it can {what}. On a network that you trust, add --auth off",
        )


def local_address(address: str) -> str:
    """Return the address for this machine: one that listens everywhere is reached by loopback."""
    everywhere = {"tcp://0.0.0.0:": "tcp://127.0.0.1:", "tcp://[::]:": "tcp://[::1]:"}
    for start, loopback in everywhere.items():
        if address.startswith(start):
            return loopback + address.removeprefix(start)
    return address


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
