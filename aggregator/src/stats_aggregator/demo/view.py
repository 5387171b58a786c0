"""View: what the demo shows while the workers train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import series
from .chart import bars, sparkline
from .figures import figures, row_name
from .history import History, PeriodLine

WIDTH = 80
_CHART_LINES = 4


@dataclass(frozen=True)
class Moment:
    """How far the demo is. `news` are the periods that are new since the last moment."""

    elapsed_s: float
    seconds: float
    history: History
    news: list[PeriodLine]


class LineView:
    """A line for each period, where nobody looks at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, moment: Moment) -> None:
        """Print what is new."""
        for line in moment.news:
            if line.category == series.CARTPOLE and series.REWARD in line.stats:
                reward = line.stats[series.REWARD]
                curve = sparkline(
                    moment.history.series(series.CARTPOLE, series.REWARD), series.HIGHEST_REWARD
                )
                self._console.print(
                    f"step {line.step:>9,}  reward {reward['value']:6.1f}  (min {reward['min']:3.0f}, "
                    f"max {reward['max']:3.0f}, {reward['num']:4,} episodes of {_workers(line)})  {curve}",
                    soft_wrap=True,
                )

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class LiveView:
    """A picture of the newest period of each category, and of the reward over time."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show(self, moment: Moment) -> None:
        """Draw it anew."""
        self._live.update(_picture(moment, self._live.console), refresh=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


View = LineView | LiveView


def make_view(console: Console) -> View:
    """Return the view that suits where `console` prints to."""
    return LiveView(console) if console.is_terminal else LineView(console)


def _picture(moment: Moment, console: Console) -> RenderableType:
    width = min(WIDTH, console.width)
    parts: list[RenderableType] = [_progress(moment, width), Text()]
    for category in (series.CARTPOLE, series.SEARCH):
        line = moment.history.latest(category)
        if line is not None:
            parts += [_table(line, width), Text()]
    rewards = moment.history.series(series.CARTPOLE, series.REWARD)
    if rewards:
        title = Text("mean reward over all workers, a bar a second", style="bold")
        title.append(f"   {rewards[0]:.0f} → {rewards[-1]:.0f}", style="not bold green")
        parts += [title, bars(rewards, series.HIGHEST_REWARD, _CHART_LINES, width)]
    return Group(*parts)


def _progress(moment: Moment, width: int) -> RenderableType:
    if moment.history.latest(series.CARTPOLE) is None:
        return Text("starting a daemon and its workers ...", style="dim")
    elapsed_s = min(moment.elapsed_s, moment.seconds)
    said = f" {elapsed_s:3.0f} of {moment.seconds:.0f} s"
    bar = ProgressBar(moment.seconds, elapsed_s, width=width - len(said), complete_style="cyan")
    grid = Table.grid()
    grid.add_row(bar, Text(said, style="dim"))
    return grid


def _table(line: PeriodLine, width: int) -> Table:
    table = Table(box=None, padding=0, width=width, header_style="")
    heading = Text(line.category, style="bold cyan")
    heading.append(f"   step {line.step:,}   {_workers(line)}", style="dim")
    table.add_column(heading, ratio=1, no_wrap=True)
    for name in ("value", "std", "min", "max", "num"):
        table.add_column(
            Text(name, style="dim"), justify="right", width=8, style="bold" if name == "value" else ""
        )
    for key in sorted(line.stats):
        table.add_row(row_name(key, line.stats[key]), *_cells(line.stats[key]))
    return table


def _cells(stat: Mapping[str, Any]) -> list[str]:
    return [*figures([stat[field] for field in ("value", "std", "min", "max")]), f"{stat['num']:,}"]


def _workers(line: PeriodLine) -> str:
    return f"{line.workers_reporting} of {line.workers_expected} workers"
