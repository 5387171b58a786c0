"""`make bench`: figures, each beside a reference measured in the same run.

README.md says how to read them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from tests.bench.figures import KEPT, compared, keep
from tests.bench.machine import Machine, is_busy, load
from tests.bench.measured import Measured, read, write
from tests.bench.row import Row
from tests.bench.sections import SECTIONS, Measure
from tests.bench.table import line

RESULTS = Path(__file__).parent / "results"
LATEST, SHORT = RESULTS / "latest.json", RESULTS / "short.json"


def main() -> None:
    options = _options()
    if options.keep:
        found = read(LATEST)
        keep(found)
        print(f"kept: {', '.join(found) or 'nothing, since nothing was measured'}")
        return
    names = options.sections or list(SECTIONS)
    if options.short:
        short = {name: SECTIONS[name].short for name in names}
        _run({name: measure for name, measure in short.items() if measure}, options.results or SHORT)
    else:
        measured = _run({name: SECTIONS[name].whole for name in names}, options.results or LATEST)
        _compare(measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"only these: {', '.join(SECTIONS)}")
    parser.add_argument("--short", action="store_true", help="half a minute, to see that it works")
    parser.add_argument("--keep", action="store_true", help="measure nothing: keep what the last run found")
    parser.add_argument("--results", type=Path, metavar="FILE", help="where the rows go as JSON")
    options = parser.parse_args()
    for name in options.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name}; there are {', '.join(SECTIONS)}")
    return options


def _run(measures: Mapping[str, Measure], path: Path) -> dict[str, Measured]:
    machine, at_start = Machine.this(), load()
    print(f"{machine}; load {at_start:.2f}\n")
    if is_busy(at_start):
        print("Others are at work on this machine: read no figure but the ratios, or try later.\n")
    measured: dict[str, Measured] = {}
    for name, measure in measures.items():
        before = load()
        print(name, flush=True)
        rows: list[Row] = []
        for row in measure():
            print(line(row), flush=True)
            counts = row.counts
            assert counts.get("stored") == counts.get("acknowledged"), (
                f"acknowledged and not stored: {counts}"
            )
            rows.append(row)
        if rows:
            date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
            measured[name] = Measured(name, machine, date, before, load(), rows)
            write(path, measured)  # after each: who loses patience has what there is
        else:
            print("  nothing: its library is not installed")
        print()
    print(f"load {load():.2f}; as JSON in {path}")
    return measured


def _compare(measured: Mapping[str, Measured]) -> None:
    kept = read(KEPT)
    if not kept:
        print("Nothing is kept to compare with: --keep keeps this.")
        return
    lines = [found for name, section in measured.items() for found in compared(section, kept.get(name))]
    print("\nBeside the figures that are kept:")
    for found in lines or ["none fell"]:
        print(f"  {found}")


if __name__ == "__main__":
    main()
