"""Config: what `serve` is told, checked whole before anything is opened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from stats_aggregator_api import name_fault
from stats_aggregator_client.wire import INT64_MAX

from ..dispatch.plugins import Selection
from ..engine.state import Cut
from ..errors import SettingError
from ..journal.journal import SEGMENT_BYTES, Durability
from ..metrics.settings import Gauges
from ..periods.every import Every, Mode, parse_span_ns
from .addresses import check_bind, check_http
from .data_directory import default_data_directory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_BIND = "tcp://127.0.0.1:5757"
_PREFIX = "STATS_AGGREGATOR_"


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a daemon. Spans are seconds or nanoseconds as their names say."""

    bind: str = DEFAULT_BIND
    http: str | None = None
    address_file: Path | None = None
    data_dir: Path = field(default_factory=default_data_directory)
    results_dir: Path = Path("results")
    run_id: str | None = None
    every: Every = Every(Mode.AUTO)  # noqa: RUF009 - frozen
    periods: tuple[tuple[str, Every], ...] = ()
    grace_ns: int = 2_000_000_000
    writer: tuple[str, ...] = ()
    add_writer: tuple[str, ...] = ()
    no_writer: tuple[str, ...] = ()
    durability: Durability = Durability.FULL
    auth: str = "keys"
    close_on_stop: bool = False
    accept_loss: bool = False
    strict: bool = False
    drain_timeout_ns: int = 8_000_000_000
    retain_values: int = 65_536
    retain_bytes: int = 256 << 20
    max_series: int = 100_000
    max_categories: int = 10_000
    journal_bytes: int = 4 << 30
    ingress_bytes: int = 256 << 20
    segment_bytes: int = SEGMENT_BYTES
    retention_ns: int = 30 * 86_400_000_000_000
    writers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gauges: Gauges = Gauges()  # noqa: RUF009 - frozen

    @property
    def cut(self) -> Cut:
        """How categories are cut into periods."""
        return Cut(self.periods, self.every)

    @property
    def selection(self) -> Selection:
        """Which writers run."""
        return Selection(self.writer, self.add_writer, self.no_writer)

    def windows_ns(self) -> tuple[int, ...]:
        """Return the lengths of all time periods in use."""
        everies = (self.every, *(every for _, every in self.periods))
        return tuple(sorted({e.window_ns for e in everies if e.mode in (Mode.AUTO, Mode.TIME)}))


class Given(NamedTuple):
    """A setting as somebody gave it, and what they call it."""

    called: str
    value: Any


_EVERY = 'a text: "auto", a time such as "10s", "50000 steps" or "manual"'


def _text(given: Given, right: str = "a text") -> str:
    if not isinstance(given.value, str) or not given.value:
        raise SettingError(given.called, given.value, right)
    return given.value


def _path(given: Given) -> Path:
    text = _text(given)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise SettingError(given.called, text, "a path; there is no home directory for ~") from None


def _names(given: Given) -> tuple[str, ...]:
    value = given.value.split(",") if isinstance(given.value, str) else given.value
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise SettingError(given.called, given.value, 'a list of names, such as ["console", "csv"]')
    return tuple(name.strip() for name in value if name.strip())


def _flag(given: Given) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False,
             "off": False}  # fmt: skip
    value = words.get(given.value.lower()) if isinstance(given.value, str) else given.value
    if not isinstance(value, bool):
        raise SettingError(given.called, given.value, "true or false")
    return value


def _number(least: int, most: int = INT64_MAX) -> Callable[[Given], int]:
    def parse(given: Given) -> int:
        is_number = isinstance(given.value, str | int) and not isinstance(given.value, bool)
        try:
            number = int(given.value) if is_number else least - 1
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            right = f"{least} or more" if most == INT64_MAX else f"from {least} to {most}"
            raise SettingError(given.called, given.value, f"a whole number, {right}")
        return number

    return parse


def _run_id(given: Given) -> str:
    run = _text(given)
    fault = name_fault(run)
    if fault:
        raise SettingError(
            given.called, run, f"a name of 1 to 512 bytes without control and format characters; it {fault}"
        )
    return run


def _one_of(*words: str) -> Callable[[Given], str]:
    def parse(given: Given) -> str:
        if given.value not in words:
            raise SettingError(given.called, given.value, " or ".join(f'"{word}"' for word in words))
        return str(given.value)

    return parse


def _durability(given: Given) -> Durability:
    return Durability(_one_of(*(level.value for level in Durability))(given))


def _span_ns(given: Given) -> int:
    return parse_span_ns(given.called, _text(given, 'a text with a number and a unit, such as "10s"'))


_PARSERS: Mapping[str, tuple[str, Callable[[Given], Any]]] = {
    # the name users write: the field of Config, and how its value is read
    "bind": ("bind", _text),
    "http": ("http", _text),
    "address_file": ("address_file", _path),
    "data_dir": ("data_dir", _path),
    "results_dir": ("results_dir", _path),
    "run_id": ("run_id", _run_id),
    "every": ("every", lambda given: Every.parse(_text(given, _EVERY), given.called)),
    "grace": ("grace_ns", _span_ns),
    "writer": ("writer", _names),
    "add_writer": ("add_writer", _names),
    "no_writer": ("no_writer", _names),
    "durability": ("durability", _durability),
    "auth": ("auth", _one_of("keys", "off")),
    "close_on_stop": ("close_on_stop", _flag),
    "accept_loss": ("accept_loss", _flag),
    "strict": ("strict", _flag),
    "drain_timeout": ("drain_timeout_ns", _span_ns),
    "retain_values": ("retain_values", _number(1)),
    "retain_bytes": ("retain_bytes", _number(0)),
    "max_series": ("max_series", _number(1)),
    "max_categories": ("max_categories", _number(1, 10_000)),
    "journal_bytes": ("journal_bytes", _number(1 << 20)),
    "ingress_bytes": ("ingress_bytes", _number(1 << 20)),
    "segment_bytes": ("segment_bytes", _number(1 << 16)),
    "retention": ("retention_ns", _span_ns),
}


def load_config(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Config:
    """Return the config of defaults, file, environment and flags; the later counts.

    `flags` has the settings by name, None where a flag was not given. Raises SettingError for the first
    setting that cannot be, with the name by which it was given.
    """
    document = _read(file) if file is not None else {}
    given = _from_file(document, file)
    for name in _PARSERS:
        variable = _PREFIX + name.upper()
        if environment.get(variable):
            given[name] = Given(variable, environment[variable])
        if flags.get(name) not in (None, (), []):
            given[name] = Given("--" + name.replace("_", "-"), flags[name])
    fields = {_PARSERS[name][0]: _PARSERS[name][1](value) for name, value in given.items()}
    periods, writers = document.get("periods", {}), document.get("writers", {})
    _check_tables(periods, writers, file)
    fields["periods"] = tuple(
        (glob, Every.parse(str(every), f"[periods] {glob!r} in {file}")) for glob, every in periods.items()
    )
    config = Config(**fields, writers=writers, gauges=_gauges(document.get("http", {}), file))
    check_bind(given["bind"].called if "bind" in given else "--bind", config.bind, config.auth)
    if config.http is not None:
        check_http(given["http"].called, config.http, config.auth)
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError("--config", str(file), f"a file that can be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError("--config", str(file), f"a TOML file: {error}") from error


def _from_file(document: Mapping[str, Any], file: Path | None) -> dict[str, Given]:
    for table in document:
        if table not in ("serve", "periods", "http", "writers"):
            raise SettingError(f"a table of {file}", table, "[serve], [periods], [http] or [writers.NAME]")
    serve = document.get("serve", {})
    if not isinstance(serve, dict):
        raise SettingError(f"serve in {file}", serve, 'a table: [serve], then a line such as every = "10s"')
    for name in serve:
        if name not in _PARSERS:
            raise SettingError(f"a setting in [serve] of {file}", name, "one of " + ", ".join(_PARSERS))
    return {name: Given(f"{name} in {file}", value) for name, value in serve.items()}


def _gauges(table: Any, file: Path | None) -> Gauges:
    if not isinstance(table, dict):
        raise SettingError(f"http in {file}", table, 'a table such as [http] with keys = ["Environment/*"]')
    for name in table:
        if name not in Gauges._fields:
            raise SettingError(f"a setting in [http] of {file}", name, "one of " + ", ".join(Gauges._fields))
    parsers: Mapping[str, Callable[[Given], Any]] = {"keys": _globs, "max_gauges": _number(1, 100_000)}
    return Gauges(**{name: parsers[name](Given(f"{name} in {file}", table[name])) for name in table})


def _globs(given: Given) -> tuple[str, ...]:
    # A list, never a text with commas: a key may hold one.
    if not isinstance(given.value, list) or not all(isinstance(glob, str) for glob in given.value):
        raise SettingError(given.called, given.value, 'a list of patterns, such as ["Environment/*"]')
    return tuple(given.value)


def _check_tables(periods: Any, writers: Any, file: Path | None) -> None:
    if not isinstance(periods, dict):
        raise SettingError(
            f"periods in {file}", periods, 'a table such as [periods] with "eval/*" = "manual"'
        )
    if not isinstance(writers, dict) or not all(isinstance(table, dict) for table in writers.values()):
        raise SettingError(f"writers in {file}", writers, "tables such as [writers.console]")
