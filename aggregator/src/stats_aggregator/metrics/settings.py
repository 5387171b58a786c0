"""Settings: what the process of the pages is told first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

DEFAULT_MAX_GAUGES = 1000


class Gauges(NamedTuple):
    """Whose summaries are shown: keys that fit one of the globs `keys`, of at most `max_gauges` series."""

    keys: tuple[str, ...] = ()
    max_gauges: int = DEFAULT_MAX_GAUGES


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the daemon answers, where its store is, and which summaries are shown."""

    daemon: str
    store: str
    gauges: Gauges

    def encode(self) -> bytes:
        """Return the line that the server sends."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Settings:
        """Return the settings of such a line."""
        fields = json.loads(line)
        keys, max_gauges = fields.pop("gauges")
        return cls(gauges=Gauges(tuple(keys), max_gauges), **fields)
