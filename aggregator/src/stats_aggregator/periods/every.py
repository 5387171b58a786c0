"""Every: how a category is cut into periods, as users write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from stats_aggregator_client.wire import INT64_MAX

from ..errors import SettingError

_SECOND_NS = 1_000_000_000
_UNITS_NS = {"ms": _SECOND_NS // 1000, "s": _SECOND_NS, "m": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS,
             "d": 86400 * _SECOND_NS}  # fmt: skip
_MAX_SPAN_NS = 10_000 * _UNITS_NS["d"]
"""Far below what an int64 holds, so that a time and some spans still fit."""
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_STEPS = re.compile(r"\s*(\d{1,20})\s*steps?\s*")

AUTO_WINDOW_NS = 10 * _SECOND_NS
"""The length of a time period where the producer decides, by "auto", and says time."""


def parse_span_ns(setting: str, text: str) -> int:
    """Return a span such as "10s", "1.5 m" or "500ms" in nanoseconds; raise SettingError where it is none."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise SettingError(setting, text, 'a number and a unit (ms, s, m, h, d), such as "10s" or "500ms"')
    span_ns = float(found[1]) * _UNITS_NS[found[2]]
    if span_ns > _MAX_SPAN_NS:
        raise SettingError(setting, text, "at most 10000d")
    return round(span_ns)


class Mode(Enum):
    """What ends a period."""

    AUTO = "auto"
    TIME = "time"
    STEPS = "steps"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Every:
    """A parsed `every`: `window_ns` for time (and for the time of auto), `steps` for steps."""

    mode: Mode
    window_ns: int = AUTO_WINDOW_NS
    steps: int = 0

    @classmethod
    def parse(cls, text: str, setting: str = "every") -> Every:
        """Return what `text` says: "auto", "10s", "50000 steps" or "manual"."""
        words = text.strip().lower()
        if words in ("auto", "manual"):
            return cls(Mode(words))
        steps = _STEPS.fullmatch(words)
        if steps and 0 < int(steps[1]) <= INT64_MAX:
            return cls(Mode.STEPS, steps=int(steps[1]))
        if _SPAN.fullmatch(words):
            window_ns = parse_span_ns(setting, words)
            if window_ns >= _UNITS_NS["ms"] * 10:
                return cls(Mode.TIME, window_ns)
        raise SettingError(
            setting, text, '"auto", a time of at least 10 ms such as "10s", "50000 steps" or "manual"'
        )
