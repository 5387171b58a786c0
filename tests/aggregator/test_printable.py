"""Text of others on a screen: it neither takes over the terminal nor passes for a line of the log."""

from __future__ import annotations

import io
import logging

import pytest

from stats_aggregator.printable import PrintableFormatter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 3DBall/x [red]", "plain, é, 3DBall/x [red]"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x00\x7f\x9b31m", r"\x00\x7f\x9b31m"),
        ("\u202egnol\u2066", r"\u202egnol\u2066"),
        ("\ud800", r"\ud800"),
        ("\N{MAN}\u200d\N{GIRL}", "\N{MAN}\u200d\N{GIRL}"),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_of_the_log_is_one_line_and_a_traceback_keeps_its_own() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))
    log = logging.Logger("of a plugin")
    log.addHandler(handler)
    try:
        raise ValueError("no\x1b[2J\u202e")
    except ValueError as error:
        log.error("it raised %s", "x\nERROR forged \x1b]0;title\x07", exc_info=error)
    first, *traceback = stream.getvalue().splitlines()
    assert first == r"ERROR it raised x\nERROR forged \x1b]0;title\x07"
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == r"ValueError: no\x1b[2J\u202e"
    assert len(traceback) >= 4
