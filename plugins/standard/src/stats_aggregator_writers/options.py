"""A plugin's own table of the configuration file, checked before anything opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from .errors import OptionError

Options = TypeVar("Options")


def read_options(kind: type[Options], plugin: str, given: Mapping[str, Any]) -> Options:
    """Return the dataclass `kind` made of `given`, the table `[writers.PLUGIN]`.

    Raises OptionError that names the option where the dataclass has none of that name.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    for name in given:
        if name not in known:
            choice = f"it knows {', '.join(known)}" if known else "it has no options"
            raise OptionError(f"[writers.{plugin}] has no option {name!r}; {choice}")
    return kind(**given)


def expect_names(option: str, value: object) -> tuple[str, ...]:
    """Return `value` as a tuple where it is a list of strings, or raise OptionError."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise OptionError(f"{option} = {value!r} is not a list of strings")
    return tuple(value)
