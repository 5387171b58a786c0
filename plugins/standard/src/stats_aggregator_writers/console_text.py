"""What the console shows of a period: a table, or one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stats_aggregator_api import Cause, Period, StatsAggregationMethod, StatSummary
from stats_aggregator_api.names import UNSEEN

from .figures import figure, point_aligned, seconds

REWARD_KEY = "Environment/Cumulative Reward"
TRAINING_KEY = "Is Training"
ELO_KEY = "Self-play/ELO"
MAX_LINE_KEYS = 12
MAX_PROPERTY_LINES = 40
MAX_MISSING = 3
"""How many of the workers that are missing are named."""
MAX_MISSING_NAME = 32
"""How many characters of such a name are shown."""

_NO_MEAN = {
    StatsAggregationMethod.MOST_RECENT: "last",
    StatsAggregationMethod.SUM: "sum",
    StatsAggregationMethod.MIN: "min",
    StatsAggregationMethod.MAX: "max",
}
_PARTIAL = (Cause.LEFT, Cause.STOP)


def period_notes(period: Period, values: Mapping[str, StatSummary]) -> list[str]:
    """Return what is not as it should be: nothing on a good day."""
    notes = []
    if period.missing or period.workers_reporting < period.workers_expected:
        notes.append(f"{period.workers_reporting} of {period.workers_expected} workers{_missing(period)}")
    counts = {
        "late": period.late,
        "lost": period.lost,
        "uncertain": period.uncertain,
        "NaN": sum(summary.num_nan for summary in values.values()),
        "infinite": sum(summary.num_inf for summary in values.values()),
    }
    return notes + [f"{number:,} {name}" for name, number in counts.items() if number]


def _missing(period: Period) -> str:
    if not period.missing:
        return ""
    named = [_end_of(name) for name in period.missing[:MAX_MISSING]]
    left = max(period.workers_expected - period.workers_reporting, len(period.missing)) - len(named)
    return f", missing {', '.join(named)}" + (f" and {left} more" if left > 0 else "")


def _end_of(name: str) -> str:
    # What tells workers apart is mostly a number at the end.
    return name if len(name) <= MAX_MISSING_NAME else f"...{name[3 - MAX_MISSING_NAME :]}"


def _span(period: Period, span_ns: int) -> str:
    """Return a span of time, marked where the period may be a part of one only."""
    return seconds(span_ns) + (f" ({period.cause.value})" if period.cause in _PARTIAL else "")


def period_line(
    label: str,
    period: Period,
    shown: Mapping[str, StatSummary],
    values: Mapping[str, StatSummary],
    start: int,
) -> str:
    """Return one line for a period of `values`, which name the `shown` keys.

    With a reward among `shown` it is ML-Agents' line of mean reward and its std; otherwise the keys and their
    values. `start` is when the writer's first period began, in nanoseconds since the epoch.
    """
    sentences = [f"Step: {period.step}", f"Time Elapsed: {_span(period, period.end - start)}"]
    rest = [key for key in shown if key not in (REWARD_KEY, ELO_KEY)]
    reward = shown.get(REWARD_KEY)
    if reward is not None:
        sentences += [f"Mean Reward: {figure(reward.mean)}", f"Std of Reward: {figure(reward.std)}"]
    elif TRAINING_KEY in values:
        sentences.append("No episode ended since the last summary")
    elif not values:
        sentences.append("No values since the last summary")
    if rest:
        sentences.append(_key_values(rest, shown))
    if ELO_KEY in shown:
        sentences.append(f"ELO: {figure(shown[ELO_KEY].aggregated_value)}")
    if TRAINING_KEY in values:
        sentences.append("Training" if values[TRAINING_KEY].aggregated_value > 0 else "Not Training")
    return f"[INFO] {label}. " + ". ".join(sentences + period_notes(period, values)) + "."


def _key_values(keys: Sequence[str], values: Mapping[str, StatSummary]) -> str:
    told = [f"{key}={figure(values[key].aggregated_value)}" for key in keys[:MAX_LINE_KEYS]]
    left = len(keys) - MAX_LINE_KEYS
    return ", ".join(told) + (f" and {left} more" if left > 0 else "")


def period_table(
    label: str, period: Period, shown: Mapping[str, StatSummary], values: Mapping[str, StatSummary]
) -> tuple[Text, Table]:
    """Return the title and the table of the `shown` keys by section.

    Headline and spread; the name of what the headline is stands by the key where it is no mean.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key", overflow="fold")
    for name in ("value", "std", "min", "max"):
        # Only the heading is pushed to the right: rich would strip what aligns the figures.
        heading = Text(name, justify="right")
        table.add_column(heading, style="bold" if name == "value" else "", no_wrap=True)
    table.add_column("num", justify="right", no_wrap=True)
    keys = sorted(shown, key=lambda key: key.rpartition("/"))
    summaries = [shown[key] for key in keys]
    columns = [
        point_aligned([figure(summary.aggregated_value) for summary in summaries]),
        *(
            point_aligned([figure(getattr(summary, name), 4) for summary in summaries])
            for name in ("std", "min", "max")
        ),
        [f"{summary.num:,}" for summary in summaries],
    ]
    section = ""
    for row, key in enumerate(keys):
        if key.rpartition("/")[0] != section:
            section = key.rpartition("/")[0]
            table.add_row(Text(section, style="dim"))
        table.add_row(_row_name(key, summaries[row]), *(column[row] for column in columns))
    return _title(label, period, values), table


def _title(label: str, period: Period, values: Mapping[str, StatSummary]) -> Text:
    title = Text(label, style="bold")
    title.append(f"   step {period.step:,}   {_span(period, period.end - period.start)}", style="dim")
    if TRAINING_KEY in values and not values[TRAINING_KEY].aggregated_value > 0:
        title.append("   not training", style="dim")
    for note in period_notes(period, values):
        title.append(f"   {note}", style="yellow")
    return title


def _row_name(key: str, summary: StatSummary) -> Text:
    section, _, name = key.rpartition("/")
    text = Text(f"  {name}" if section else key)
    if summary.aggregation_method in _NO_MEAN:
        text.append(f" ({_NO_MEAN[summary.aggregation_method]})", style="dim")
    return text


def property_lines(label: str, name: str, value: Any) -> list[str]:
    """Return a property as an indented tree, cut where it grows long."""
    lines = list(_tree(f"{label} {name}", value, ""))
    left = len(lines) - MAX_PROPERTY_LINES
    return lines[:MAX_PROPERTY_LINES] + ([f"  ... and {left} lines more"] if left > 0 else [])


def _tree(name: str, value: Any, indent: str) -> list[str]:
    if not isinstance(value, Mapping) or not value:
        return [f"{indent}{printable(name)}: {printable(str(value))}"]
    inner = [line for key, part in value.items() for line in _tree(str(key), part, indent + "  ")]
    return [f"{indent}{printable(name)}:", *inner]


def printable(text: str) -> str:
    """Return `text` without the control and format characters that could take over a terminal."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
