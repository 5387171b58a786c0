"""The CSV writer: `RESULTS_DIR/RUN/CATEGORY.csv`, a row for each period and key."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from stats_aggregator_api import Period, RunOptions, StatSummary, StatsWriter, path_part

from .append_file import AppendFile
from .fields import SERIES_FIELDS, period_of, series_fields
from .options import read_options

COLUMNS = (
    "id", "ordinal", "step", "start", "end", "workers_reporting", "workers_expected", "late", "lost",
    "uncertain", "key", *SERIES_FIELDS, "workers_missing", "cause",
)  # fmt: skip
EARLIER_COLUMNS = COLUMNS[:-2]
"""Those of files that an earlier version began."""

_LOG = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class CsvOptions:
    """The table `[writers.csv]`: it has no options."""


class CsvWriter(StatsWriter):
    """Appends a row for each key of a period to the file of its category; an empty period has no rows."""

    def __init__(self, directory: str) -> None:
        """Write below `directory`, the run's own."""
        self._directory = directory
        self._files: dict[str, AppendFile] = {}
        self._said_earlier: set[str] = set()

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Append the period's rows unless the file holds them already; they are durable at the return."""
        if not values:
            return
        if category not in self._files:
            self._files[category] = AppendFile(self._path(category), _id_of, (_HEADER, _EARLIER_HEADER))
        period = period_of(values)
        rows = _rows(period, step, values)

        def lines(header: bytes) -> bytes:
            if header == _HEADER:
                return _as_csv(rows)
            self._say_earlier(category)
            return _as_csv([row[: len(EARLIER_COLUMNS)] for row in rows])

        self._files[category].append(period.id, lines)

    def _say_earlier(self, category: str) -> None:
        if category not in self._said_earlier:
            self._said_earlier.add(category)
            left_out = " and ".join(COLUMNS[len(EARLIER_COLUMNS) :])
            _LOG.warning(
                "%s has the columns of an earlier version and is continued with these, without %s; "
                "move it away, and a file with all columns is begun",
                self._path(category),
                left_out,
            )

    def _path(self, category: str) -> str:
        return os.path.join(self._directory, path_part(category) + ".csv")


def _rows(period: Period, step: int, values: Mapping[str, StatSummary]) -> list[tuple[str | float, ...]]:
    first = (
        period.id, period.ordinal, step, utc_text(period.start), utc_text(period.end),
        period.workers_reporting, period.workers_expected, period.late, period.lost, period.uncertain,
    )  # fmt: skip
    last = json.dumps(period.missing, ensure_ascii=False), period.cause.value
    return [
        (*first, key, *map(_cell, series_fields(summary).values()), *last) for key, summary in values.items()
    ]


def utc_text(time_ns: int) -> str:
    """Return nanoseconds since the epoch as ISO 8601 in UTC with milliseconds; pandas parses it."""
    moment = _EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _cell(value: str | float | bool) -> str | float:
    return str(value).lower() if isinstance(value, bool) else value


def _as_csv(rows: list[tuple[str | float, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


_HEADER, _EARLIER_HEADER = _as_csv([COLUMNS]), _as_csv([EARLIER_COLUMNS])


def _id_of(line: bytes) -> str | None:
    return line.split(b",", 1)[0].decode(errors="replace")


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Register the CSV writer for a run."""
    read_options(CsvOptions, "csv", run_options.plugin_options)
    return [CsvWriter(run_options.checkpoint_settings.write_path)]
