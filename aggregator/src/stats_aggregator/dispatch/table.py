"""Table: the daemon's own settings in a plugin's table `[writers.NAME]` of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SettingError
from ..periods.every import parse_span_ns

_MAX_BACKLOG = 100_000
_MAX_BACKLOG_AGE_NS = 7 * 86_400 * 1_000_000_000
_LEAST_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """Where a plugin begins, how much may wait for it, and how much memory its process may take.

    Beyond `max_backlog` periods, or when they waited for `max_backlog_age`, the oldest are skipped, and
    counted. A plugin that is new to the data directory gets what comes from now on; with `replay`, all that
    is stored. `max_memory_bytes` is 0 where nothing bounds it.
    """

    replay: bool = False
    max_backlog: int = _MAX_BACKLOG
    max_backlog_age_ns: int = _MAX_BACKLOG_AGE_NS
    max_memory_bytes: int = 0

    @classmethod
    def split(cls, plugin: str, table: Mapping[str, Any]) -> tuple[Table, dict[str, Any]]:
        """Return these settings of `table`, and the plugin's own options; raise SettingError."""
        own = dict(table)
        replay = own.pop("replay", False)
        if not isinstance(replay, bool):
            raise SettingError(f"writers.{plugin}.replay", replay, "true or false")
        most = own.pop("max_backlog", _MAX_BACKLOG)
        if type(most) is not int or most < 1:
            raise SettingError(f"writers.{plugin}.max_backlog", most, "a number of periods, at least 1")
        name, age_ns = f"writers.{plugin}.max_backlog_age", _MAX_BACKLOG_AGE_NS
        if "max_backlog_age" in own:
            age_ns = parse_span_ns(name, str(own.pop("max_backlog_age")))
        memory = own.pop("max_memory_bytes", 0)
        if type(memory) is not int or 0 < memory < _LEAST_MEMORY_BYTES or memory < 0:
            right = f"a number of bytes, at least {_LEAST_MEMORY_BYTES}, or 0 for no bound"
            raise SettingError(f"writers.{plugin}.max_memory_bytes", memory, right)
        return cls(replay, most, age_ns, memory), own
