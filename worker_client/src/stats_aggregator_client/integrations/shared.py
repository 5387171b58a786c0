"""What the adapters share: a client and names where none are given, and how nested values become keys."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stats_aggregator_api import StatsAggregationMethod

from ..client import StatsClient
from ..complaints import Complaints, shown
from ..default import default_client as configured_client
from ..errors import SettingError
from ..floats import to_float
from ..log import LOGGER
from .axes import Axes

MAX_DEPTH = 32
_complaints = Complaints()


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


def add_all(axes: Axes, values: Any, step: Any) -> None:
    """Add each number in nested mappings to its key, and each array, tensor or list to a distribution."""
    for key, value in flat(values):
        if isinstance(value, Nothing):
            continue
        reporter = axes.at(key, step)
        if is_several(value):
            value = value.detach() if hasattr(value, "detach") else value
            value = value.cpu() if hasattr(value, "cpu") else value
            reporter.add_stats(key, value, StatsAggregationMethod.HISTOGRAM)
        else:
            reporter.add_stat(key, value)


def is_several(value: Any) -> bool:
    """Return whether it is a list, or an array or tensor of other than one number."""
    return isinstance(value, (list, tuple)) or bool(getattr(value, "ndim", 0) and to_float(value) is None)


def flat(values: Any, above: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield what is in nested mappings by the path of its keys, with `/` between them."""
    if not isinstance(values, Mapping):
        _complaints.once("mapping", "%s is no mapping of names to numbers, and is ignored", shown(values))
        return
    for key, value in values.items():
        name = f"{above}/{key}" if above else str(key)
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from flat(value, name, depth + 1)
        elif value is not None:
            yield name, value


def facts_of(config: Any) -> dict[str, Any]:
    """Return what a configuration says by name: a mapping, a namespace or any object with attributes."""
    if isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    if isinstance(config, Namespace) or hasattr(config, "__dict__"):
        return dict(vars(config))
    return {} if config is None else {"config": config}


class Nothing:
    """Stands for what a library has and a daemon has not: whatever is done with it does nothing.

    It is no number, and as a path or text it is empty. Nothing is an instance of it.
    """

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Do nothing."""
        return self

    __getitem__ = __setitem__ = __delitem__ = __call__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __call__
    __lt__ = __le__ = __gt__ = __ge__ = __call__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __instancecheck__(self, instance: object) -> bool:
        return False

    def __str__(self) -> str:
        return ""

    def __format__(self, spec: str) -> str:
        return ""

    def __fspath__(self) -> str:
        return ""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Config(dict[str, Any]):
    """Hyperparameters: items or attributes; each change is told to the writers."""

    def __init__(self, tell: Callable[[dict[str, Any]], None], config: Any = None) -> None:
        super().__init__(facts_of(config))
        object.__setattr__(self, "_tell", tell)
        if self:
            tell(self)

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"the config has no {key!r}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # for a worker process, which has no part in what is told

    def update(self, config: Any = None, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Take more, and change what is there."""
        super().update(facts_of(config))
        object.__getattribute__(self, "_tell")(dict(self))

    def setdefaults(self, config: Any) -> None:
        """Take what is not there yet."""
        self.update({**facts_of(config), **self})

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return dict(self)


class Summary(Config):
    """What a script says of a whole run: each change is told, and what is not there reads as nothing."""

    def __missing__(self, key: str) -> Nothing:
        if str(key).startswith("__"):
            raise KeyError(key)
        return Nothing()

    def update(self, config: Any = None, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Take more, and change what is there."""
        changes = facts_of(config)
        dict.update(self, changes)
        object.__getattribute__(self, "_tell")(changes)
