"""How the benchmark compares with what is kept, and that its page says what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.figures import KEPT, PAGE, compared, keep, on_page
from tests.bench.fit import exponent
from tests.bench.machine import Machine
from tests.bench.measured import Measured, read, write
from tests.bench.row import Row
from tests.bench.sections import SECTIONS

MACHINE = Machine(2, "a processor", "Linux", "3.11.7", "2.4.6")
FAST = Row("fast", 30.0, "million values/s", "the bare ROUTER", 0.5, higher_is_better=True)
CHEAP = Row("cheap", 90.0, "ns", "the barest method", 1.2, counts={"stored": 3})
REFERENCE = Row("a reference", 60.0, "ns")


def measured(*rows: Row, section: str = "worker") -> Measured:
    return Measured(section, MACHINE, "2026-01-02", 0.1, 1.5, list(rows))


@pytest.mark.parametrize(
    ("ratio", "says"),
    [(0.5, []), (0.41, []), (5.0, []), (0.39, ["fell by 22%: fast"]), (0.0, ["fell by 100%: fast"])],
)
def test_what_should_be_high_fell_where_its_ratio_is_a_fifth_lower(ratio: float, says: list[str]) -> None:
    said = compared(measured(replace(FAST, figure=9.0, ratio=ratio)), measured(FAST))
    assert [line.partition(",")[0] for line in said] == says


@pytest.mark.parametrize(("ratio", "says"), [(1.2, []), (1.45, []), (0.1, []), (2.4, ["fell by 50%: cheap"])])
def test_what_should_be_low_fell_where_its_ratio_is_higher(ratio: float, says: list[str]) -> None:
    said = compared(measured(replace(CHEAP, ratio=ratio)), measured(CHEAP))
    assert [line.partition(",")[0] for line in said] == says


def test_a_row_that_is_gone_is_said_and_a_new_one_or_a_reference_is_not() -> None:
    new = replace(FAST, what="new")
    slower = replace(REFERENCE, figure=600.0)
    assert compared(measured(new, slower), measured(FAST, REFERENCE)) == ["no longer measured: fast"]
    assert compared(measured(new), None) == []


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    sections = {"worker": measured(FAST, CHEAP, REFERENCE)}
    write(tmp_path / "results" / "latest.json", sections)
    assert read(tmp_path / "results" / "latest.json") == sections
    assert read(tmp_path / "none.json") == {}


def test_what_is_kept_stands_in_the_file_and_on_the_page_and_other_sections_stay(tmp_path: Path) -> None:
    kept, page = tmp_path / "figures.json", tmp_path / "README.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")
    keep({"worker": measured(FAST), "closing": measured(CHEAP, section="closing")}, kept, page)
    keep({"worker": measured(REFERENCE)}, kept, page)
    assert [section["rows"][0]["what"] for section in json.loads(kept.read_text())] == [
        "a reference",
        "cheap",
    ]
    text = page.read_text()
    assert text.startswith("before\n<!-- figures -->\n### worker\n\n2 cores (a processor), Linux")
    assert "| cheap | 90.0 ns | 1.20 x the barest method |\n" in text
    assert "fast" not in text
    assert text.endswith("<!-- end of figures -->\nafter\n")


def test_the_page_has_the_figures_that_are_kept() -> None:
    kept = read(KEPT)
    page = PAGE.read_text()
    if kept:
        assert page == on_page(page, kept)
    else:
        assert "None are kept yet." in page


def test_the_page_names_each_section() -> None:
    assert [name for name in SECTIONS if f"`{name}`" not in PAGE.read_text()] == []


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_growth_is_that_of_the_largest(k: float) -> None:
    costs = {n: n**k for n in (10, 100, 1_000)}
    assert exponent(costs) == pytest.approx(k)
    assert exponent({1: 1e9, **costs}) == pytest.approx(k)
