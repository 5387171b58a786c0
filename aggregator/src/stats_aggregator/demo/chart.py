"""Chart: values over time as bars of text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_COLOURS = ("red", "dark_orange", "yellow", "green_yellow", "green")
_BAR_CELLS = 3  # two of the bar, one between it and the next


def bars(values: Sequence[float], top: float, height: int, width: int) -> Text:
    """Return the newest `values` that fit into `width` cells as bars; `top` fills all `height` lines."""
    label = len(f"{top:g} ")
    shown = values[-((width - label) // _BAR_CELLS) :]
    text = Text(no_wrap=True)
    for line in reversed(range(height)):
        mark = f"{top:g} " if line == height - 1 else "0 " if line == 0 else ""
        text.append(mark.rjust(label), style="dim")
        for value in shown:
            share = min(max(value / top, 0.0), 1.0)
            eighths = round(share * height * 8) - 8 * line
            # What is above nothing is seen: a bar of the lowest line has at least an eighth.
            eighths = min(max(eighths, 1 if line == 0 else 0), 8)
            colour = _COLOURS[min(int(share * len(_COLOURS)), len(_COLOURS) - 1)]
            text.append(2 * _EIGHTHS[eighths] + " ", style=colour)
        text.append("\n" if line else "")
    return text


def sparkline(values: Sequence[float], top: float) -> str:
    """Return one character for each value, from ▁ for zero to █ for `top`."""
    return "".join(_EIGHTHS[1 + round(min(max(value / top, 0.0), 1.0) * 7)] for value in values)
