"""The JSON lines writer: `RESULTS_DIR/RUN/summaries.jsonl`, an object for each category and period."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from stats_aggregator_api import RunOptions, StatSummary, StatsWriter

from .append_file import AppendFile
from .fields import period_of, series_fields
from .options import read_options

FILE_NAME = "summaries.jsonl"


@dataclass(frozen=True)
class JsonlOptions:
    """The table `[writers.jsonl]`: it has no options."""


class JsonlWriter(StatsWriter):
    """Appends each period of each category as one line of JSON; an empty one has no `stats`."""

    def __init__(self, directory: str) -> None:
        """Write below `directory`, the run's own."""
        self._file = AppendFile(os.path.join(directory, FILE_NAME), _id_of)

    def write_stats(self, category: str, values: Mapping[str, StatSummary], step: int) -> None:
        """Append the period's line unless the file holds it already; it is durable at the return."""
        period = period_of(values)
        found = {
            "run": period.run,
            "category": category,
            "ordinal": period.ordinal,
            "id": period.id,
            "start": period.start,
            "end": period.end,
            "step": step,
            "workers_reporting": period.workers_reporting,
            "workers_expected": period.workers_expected,
            "late": period.late,
            "lost": period.lost,
            "uncertain": period.uncertain,
            "duplicates": period.duplicates,
            "unseen": period.unseen,
            "missing": period.missing,
            "cause": period.cause.value,
            "stats": {key: _finite_or_none(summary) for key, summary in values.items()},
        }
        line = json.dumps(found, allow_nan=False, ensure_ascii=False) + "\n"
        self._file.append(period.id, lambda _: line.encode())


def _finite_or_none(summary: StatSummary) -> dict[str, str | float | bool | None]:
    # JSON knows no NaN and no infinity.
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in series_fields(summary).items()
    }


def _id_of(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None  # a line that somebody else wrote costs itself alone
    period_id = found.get("id") if isinstance(found, dict) else None
    return period_id if isinstance(period_id, str) else None


def writers(run_options: RunOptions) -> list[StatsWriter]:
    """Register the JSON lines writer for a run."""
    read_options(JsonlOptions, "jsonl", run_options.plugin_options)
    return [JsonlWriter(run_options.checkpoint_settings.write_path)]
