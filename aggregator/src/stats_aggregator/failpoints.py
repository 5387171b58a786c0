"""Failpoints: named edges of durability at which a test makes the daemon die, fail or wait.

The environment variable STATS_AGGREGATOR_FAILPOINTS arms them, `;` between several:

    journal.sync.before=die               the process ends itself by SIGKILL, so that no handler runs
    journal.write.before=error(ENOSPC)    an OSError of that errno is raised there
    store.commit.before=pause(PATH)       PATH.reached is made, and it waits there until PATH exists

Without more it happens each time the edge is reached; with `@3` behind it the third time alone, with `*2` the
first two times, with `@3*2` the third and the fourth. An edge that is not armed costs one look at an empty
dictionary.

Those that begin with `writers.` are reached in a writer's process, all others in the daemon's. A process that
is started again after its death has none: it would die for ever.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import SettingError

VARIABLE = "STATS_AGGREGATOR_FAILPOINTS"
NAMES = frozenset(
    f"{edge}.{when}"
    for edge in (
        "journal.write",  # one call of writev, those of a segment's head too
        "journal.sync",
        "journal.append.session",  # an append that holds a record of this kind, synced when it is over
        "journal.append.group",
        "journal.append.open",
        "journal.append.close",
        "journal.append.tombstone",
        "journal.append.gap",
        "journal.checkpoint",  # after it, and before what it makes dispensable is unlinked
        "segment.create",
        "segment.rename",  # after it, the directory is not synced yet
        "segment.unlink",
        "recovery.rewrite",
        "recovery.unlink",  # of the segment that was rewritten
        "engine.apply",
        "engine.reply",  # one reply to one worker
        "store.commit",  # of periods that are closed, all that waited
        "writers.call",
        "writers.cursor",
    )
    for when in ("before", "after")
)
_POLL_S = 0.005
_FAILPOINT = re.compile(
    r"(?P<name>[\w.]+)=(?P<action>die|error|pause)(?:\((?P<argument>[^()]+)\))?"
    r"(?:@(?P<first>[1-9]\d*))?(?:\*(?P<times>[1-9]\d*))?"
)

armed: dict[str, Callable[[], None]] = {}
"""What happens at each edge that is armed."""


def reach(name: str) -> None:
    """Come to an edge: do there what it is armed with."""
    if armed and name in armed:
        armed[name]()


def reach_each(edge: str, kinds: Iterable[str], when: str) -> None:
    """Come to the edges of all `kinds`, each once."""
    for kind in dict.fromkeys(kinds) if armed else ():
        reach(f"{edge}.{kind}.{when}")


def arm(spec: str) -> None:
    """Arm what `spec` says, in the form above, and nothing else; an empty one disarms all.

    Raises SettingError where it is no such form or names no failpoint; then all is as before.
    """
    found = dict(_parsed(text) for text in spec.split(";") if text)
    armed.clear()
    armed.update(found)


def _parsed(text: str) -> tuple[str, Callable[[], None]]:
    match = _FAILPOINT.fullmatch(text.strip())
    if match is None or (match["action"] == "die") != (match["argument"] is None):
        right = "NAME=die, NAME=error(ENOSPC) or NAME=pause(PATH), @3 or *2 behind it, and ; between several"
        raise SettingError(VARIABLE, text, right)
    if match["name"] not in NAMES:
        raise SettingError(VARIABLE, text, "an edge that is known: " + ", ".join(sorted(NAMES)))
    first = int(match["first"] or 1)
    times = int(match["times"]) if match["times"] else 1 if match["first"] else None
    action = _action(text, match["name"], match["action"], match["argument"])
    return match["name"], _counted(action, first, times)


def _action(text: str, name: str, action: str, argument: str) -> Callable[[], None]:
    if action == "pause":
        return lambda: _pause(Path(argument))
    if action == "error":
        number = getattr(errno, argument, None)
        if not isinstance(number, int):
            raise SettingError(VARIABLE, text, "a name of the module errno, such as ENOSPC or EIO")
        return lambda: _fail(number)
    return lambda: _die(name)


def _counted(action: Callable[[], None], first: int, times: int | None) -> Callable[[], None]:
    # Several threads may come to one edge; `next` of a count is whole under the interpreter's lock.
    reached = itertools.count(1)

    def act() -> None:
        turn = next(reached)
        if first <= turn and (times is None or turn < first + times):
            action()

    return act


def _die(name: str) -> None:
    os.write(2, f"failpoint {name}: the process ends here\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _pause(path: Path) -> None:
    path.with_name(path.name + ".reached").touch()
    while not path.exists():
        time.sleep(_POLL_S)


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))
