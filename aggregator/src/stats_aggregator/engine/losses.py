"""Losses: what a start finds gone of what was acknowledged, and whether it may go on without it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import AcknowledgedGone
from ..journal.newest import newest_number
from ..journal.segment import segment_name, segment_number
from ..journal.segment_reader import all_segment_paths
from ..store.ordinals import ClosedOrdinals
from ..store.store import Store
from .replay import Replay
from .state import Claim, State

log = logging.getLogger(__name__)


class Unstored(NamedTuple):
    """Ranges of a category's ordinals that nothing tells of; `claimed` of them were stored once."""

    run: str
    category: str
    ranges: list[tuple[int, int]]
    claimed: int


def check_newest(directory: Path, *, is_strict: bool) -> None:
    """Raise AcknowledgedGone where the newest segment that there ever was is not there; else say so."""
    newest = newest_number(directory)
    if newest <= max(map(segment_number, all_segment_paths(directory)), default=0):
        return
    name = segment_name(newest)
    if is_strict:
        raise AcknowledgedGone(directory, f"the newest segment of the journal, {name}, is not there")
    text = "going on without the newest segment of the journal, %s: how many values it held is not known"
    log.error(text, directory / name)


def check_values(directory: Path, replay: Replay) -> None:
    """Raise AcknowledgedGone where segments are gone that held values of periods which are not stored."""
    if replay.gone:
        there = ", ".join(str(segment_number(path)) for path in all_segment_paths(directory)) or "none"
        raise AcknowledgedGone(
            directory,
            f"{sum(replay.gone.values())} values of {len(replay.gone)} periods are in none of its segments "
            f"(there are: {there}), and the store does not have them",
        )


def check_stored(store: Store, found: list[Unstored]) -> None:
    """Raise AcknowledgedGone where the store lacks periods that it once had."""
    claimed = sum(each.claimed for each in found)
    if claimed:
        raise AcknowledgedGone(
            store.database.path,
            f"{claimed} periods are not in it that were stored there, and the journal has let go of them",
        )


def unstored(store: Store, state: State, replay: Replay) -> list[Unstored]:
    """Return the periods that neither store nor journal has, though their ordinals were given out."""
    closed = store.closed_ordinals()
    claims = {(claim.run, claim.category): claim for claim in replay.claims}
    known: dict[tuple[str, str], set[int]] = {}
    for key in (*state.unstored, *(period.key for period in state.open_periods())):
        known.setdefault(key[:2], set()).add(key.ordinal)
    found = []
    for name in {*closed, *state.categories}:
        stored, category = closed.get(name, ClosedOrdinals()), state.categories.get(name)
        below = max((stored.highest or 0) + 1, category.next_ordinal if category else 0)
        ranges = stored.gaps(below, known.get(name, ()))
        if ranges:
            found.append(Unstored(*name, ranges, _claimed(ranges, claims.get(name))))
    return found


def _claimed(ranges: Sequence[tuple[int, int]], claim: Claim | None) -> int:
    """Return how many ordinals of the ranges were stored when the newest snapshot was taken."""
    if claim is None:
        return 0
    told = [told.key.ordinal for told in claim.told]
    before: int = sum(max(min(last + 1, claim.next_ordinal) - first, 0) for first, last in ranges)
    return before - sum(first <= ordinal <= last for ordinal in told for first, last in ranges)
