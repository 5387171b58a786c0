"""tests/README.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_test_that_the_page_names_exists() -> None:
    page = (TESTS / "README.md").read_text()
    named, file = [], ""
    for path, test in re.findall(r"`([\w/]*(?:\.py)?)::(test_\w+)`", page):
        file = path or file
        named.append((file, test))
    assert len(named) > 30
    missing = [(path, test) for path, test in named if f"def {test}(" not in (TESTS / path).read_text()]
    assert missing == []


def test_every_promise_names_its_tests() -> None:
    page = (TESTS / "README.md").read_text()
    promises = re.findall(r"^### (\d)\. .*$", page, flags=re.MULTILINE)
    assert promises == ["1", "2", "3", "4", "5"]
    for section in page.split("\n### ")[1:]:
        assert "::test_" in section
