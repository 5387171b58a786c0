"""What the client raises, and only from constructors: no other call does.

StatsClientError
  SettingError (ValueError)    a setting that cannot be right
"""

from __future__ import annotations


class StatsClientError(Exception):
    """The root of all errors of this package."""


class SettingError(StatsClientError, ValueError):
    """Raised when a setting cannot be right; it names the setting, its value and what would be right."""

    def __init__(self, setting: str, value: object, right: str) -> None:
        super().__init__(f"{setting} is {value!r:.200}; {right}")
        self.setting = setting
        self.value = value
        self.right = right
