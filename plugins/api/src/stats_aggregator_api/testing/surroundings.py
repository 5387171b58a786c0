"""Surroundings: what lies around a writer under check, and must be the same after each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..period import PeriodSummaries
from ..summary import StatSummary


class Surroundings:
    """Calls a writer, and holds it to what it was given, and where it may write."""

    def __init__(self, root: Path, write_path: Path) -> None:
        self._root = root
        self._write_path = write_path
        self._outside = self._files_outside()
        self._own = self._own_files()

    def call(self, where: str, method: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `method` returned, or raise AssertionError that says what it broke."""
        before = [frozen_view(argument) for argument in arguments]
        try:
            answer = method(*arguments)
        except BaseException as error:  # SystemExit of a writer is a finding too
            raise AssertionError(
                f"{where} raised {type(error).__name__}: {error}; the daemon would call it again and again"
            ) from error
        for argument, view in zip(arguments, before, strict=True):
            if frozen_view(argument) != view:
                raise AssertionError(
                    f"{where} changed the {type(argument).__name__} it was given; others read it too"
                )
        self._expect_same_outside(where)
        return answer

    def expect_nothing_deleted(self) -> None:
        """Raise AssertionError where a file of the run that was there at the beginning is gone."""
        gone = self._own - self._own_files()
        if gone:
            raise AssertionError(
                f"a writer that was made anew deleted {sorted(gone)}; an existing run is always resumed"
            )

    def _expect_same_outside(self, where: str) -> None:
        now = self._files_outside()
        if now == self._outside:
            return
        changed = sorted(
            path for path in now.keys() | self._outside.keys() if now.get(path) != self._outside.get(path)
        )
        raise AssertionError(
            f"{where} wrote outside of the run's write_path: {', '.join(changed)}; "
            "take run_options.checkpoint_settings.write_path and path_part(category)"
        )

    def _files_outside(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self._root)): path.read_bytes() if path.is_file() else b""
            for path in self._root.rglob("*")
            if not path.is_relative_to(self._write_path) and not self._write_path.is_relative_to(path)
        }

    def _own_files(self) -> set[str]:
        return {str(path.relative_to(self._root)) for path in self._write_path.rglob("*") if path.is_file()}


def frozen_view(value: object) -> object:
    """Return a copy of what a writer is given that compares equal for as long as nobody changes it."""
    if isinstance(value, PeriodSummaries):
        return value.period, {key: frozen_view(summary) for key, summary in value.items()}
    if isinstance(value, StatSummary):
        # By their text, since NaN differs from itself.
        return (
            repr(value),
            list(map(repr, value.full_dist)),
            list(value.buckets.keys),
            list(value.buckets.counts),
        )
    if isinstance(value, Mapping):
        return {key: frozen_view(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [frozen_view(part) for part in value]
    return repr(value)
