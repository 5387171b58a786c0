"""Table: rows as a person reads them, on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterable

from tests.bench.measured import Measured
from tests.bench.row import Row


def number(figure: float) -> str:
    """Return a figure with as many digits as say something."""
    size = abs(figure)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{figure:,.{digits}f}"


def beside(row: Row) -> str:
    """Return what a row is to be read beside."""
    compared = f"{number(row.ratio)} x {row.reference}" if row.ratio is not None else ""
    return "; ".join(filter(None, (compared, row.note)))


def line(row: Row) -> str:
    """Return a row as a line of a terminal."""
    return f"  {row.what:<58} {number(row.figure):>10} {row.unit:<17} {beside(row)}".rstrip()


def markdown(sections: Iterable[Measured]) -> str:
    """Return sections as a part of a page."""
    return "\n".join(map(_section, sections))


def _section(measured: Measured) -> str:
    head = f"### {measured.section}\n\n{measured.machine}; {measured.date}, load {measured.load_before:.1f}\n"
    rows = "\n".join(
        f"| {row.what} | {number(row.figure)} {row.unit} | {beside(row)} |" for row in measured.rows
    )
    return f"{head}\n| what | figure | beside |\n|---|---|---|\n{rows}\n"
