"""Report: what the demo says at its end."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import series
from .figures import figures, row_name
from .history import History, PeriodLine
from .view import WIDTH

FIVE_LINES = """\
from stats_aggregator_client import StatsReporter
reporter = StatsReporter("CartPole")
for episode in range(100):
    reporter.add_stat("Environment/Cumulative Reward", 5.0 * episode)
reporter.write_stats(step=100)
"""
"""The first stat of one's own; the README has the same."""


@dataclass(frozen=True)
class Outcome:
    """How the demo went. `episodes` is what the workers counted, None where one of them could not say."""

    history: History
    run_dir: Path
    episodes: int | None
    faults: Sequence[str]

    @property
    def pooled_episodes(self) -> int:
        """How many episodes the daemon's summaries hold, over all periods."""
        return int(sum(self.history.series(series.CARTPOLE, series.EPISODES, "sum")))

    @property
    def good(self) -> bool:
        """Whether nothing failed and every episode was counted once."""
        return not self.faults and self.episodes == self.pooled_episodes


def print_report(console: Console, outcome: Outcome) -> None:
    """Print a table a category, whether the counts agree, where the files are, and what to do next."""
    for category, lines in sorted(outcome.history.periods.items()):
        console.print(_table(category, lines, min(WIDTH, console.width)))
        console.print()
    _print_counts(console, outcome)
    for fault in outcome.faults:
        console.print(Text(f"error: {fault}", style="bold red"), soft_wrap=True)
    if outcome.history.periods:
        _print_files(console, outcome.run_dir)
    _print_next(console)


def _table(category: str, lines: Sequence[PeriodLine], width: int) -> Table:
    table = Table(box=None, padding=0, width=width, header_style="")
    heading = Text(category, style="bold cyan")
    heading.append(f"   {lines[-1].step:,} steps, {len(lines)} periods", style="dim")
    table.add_column(heading, ratio=1, no_wrap=True)
    for name in ("first", "last", "min", "max", "num"):
        style = "bold" if name in ("first", "last") else ""
        table.add_column(Text(name, style="dim"), justify="right", width=8, style=style)
    for key in sorted({key for line in lines for key in line.stats}):
        found = [line.stats[key] for line in lines if key in line.stats]
        # The last period was cut short when the workers ended, so the one before says more.
        last = found[-2] if len(found) > 2 else found[-1]
        lowest = min((stat["min"] for stat in found if stat["min"] is not None), default=None)
        highest = max((stat["max"] for stat in found if stat["max"] is not None), default=None)
        cells = figures([found[0]["value"], last["value"], lowest, highest])
        table.add_row(row_name(key, found[0]), *cells, f"{sum(stat['num'] for stat in found):,}")
    return table


def _print_counts(console: Console, outcome: Outcome) -> None:
    pooled = outcome.pooled_episodes
    if outcome.episodes is None:
        console.print(f"counted {pooled:,} episodes; the workers could not say how many there were")
    elif pooled == outcome.episodes:
        said = Text(f"counted {pooled:,} of {outcome.episodes:,} episodes", style="bold green")
        console.print(said.append(": each that a worker played, once", style="not bold default"))
    else:
        console.print(Text(f"error: counted {pooled:,} of {outcome.episodes:,} episodes", style="bold red"))


def _print_files(console: Console, run_dir: Path) -> None:
    beside = Path(sys.executable).with_name("tensorboard")
    program = _short(beside) if beside.exists() else "tensorboard"
    console.print()
    console.print(Text("Look at it", style="bold"))
    console.print(f"  {shlex.join([program, '--logdir', _short(run_dir)])}", soft_wrap=True)
    console.print()
    console.print(Text("Where it is", style="bold"))
    console.print(f"  {_short(run_dir)}/", soft_wrap=True)
    for name, what in (
        ("CATEGORY/", "TensorBoard's event files"),
        ("CATEGORY.csv", "a row for each period and key"),
        ("summaries.jsonl", "an object for each period"),
    ):
        console.print(f"    {name:17}[dim]{what}[/]", highlight=False)


def _print_next(console: Console) -> None:
    console.print()
    console.print(Text("Your own: `stats-aggregator serve` in one terminal, and in another", style="bold"))
    console.print(Text("".join(f"  {line}\n" for line in FIVE_LINES.splitlines())), end="")


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
