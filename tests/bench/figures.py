"""Figures: those that are kept beside this file, what a run is compared with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.bench.measured import Measured, read, write
from tests.bench.table import markdown, number

FELL = 0.2
"""A figure that fell by more is said."""
KEPT = Path(__file__).parent / "figures.json"
PAGE = Path(__file__).parent / "README.md"
_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def keep(sections: Mapping[str, Measured], kept: Path = KEPT, page: Path = PAGE) -> None:
    """Let `sections` stand for what was kept of them, here and on the page; others stay as they are."""
    together = read(kept) | dict(sections)
    write(kept, together)
    text = page.read_text()
    page.write_text(on_page(text, together))


def on_page(text: str, sections: Mapping[str, Measured]) -> str:
    """Return a page with the figures of `sections` between its marks."""
    found = f"{_BEGIN}{markdown(sections.values())}{_END}"
    return re.sub(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", lambda _: found, text, flags=re.DOTALL)


def compared(section: Measured, kept: Measured | None) -> list[str]:
    """Return a line for each figure of a section that fell, and for each that is no longer measured."""
    if kept is None:
        return []
    now = {row.what: row for row in section.rows}
    gone = [f"no longer measured: {row.what}" for row in kept.rows if row.what not in now]
    fell = [
        f"fell by {fallen:.0%}: {then.what}, {number(now[then.what].ratio or 0)} x {then.reference}, "
        f"{number(then.ratio or 0)} x on {kept.date}"
        for then in kept.rows
        if then.what in now and (fallen := now[then.what].fell(then)) > FELL
    ]
    return [*fell, *gone]
