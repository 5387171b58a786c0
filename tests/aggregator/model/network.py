"""A network between workers and a daemon: connections of two queues each, and all that can go wrong."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Link:
    """One connection: frames on their way to the daemon (`up`) and back (`down`), in order."""

    peer: bytes
    up: deque[bytes] = field(default_factory=deque)
    down: deque[bytes] = field(default_factory=deque)


class Network:
    """All connections; `ghosts` are those that their workers have given up, with frames still on their way.

    A `pick` chooses among the connections to which the deed can be done at all.
    """

    def __init__(self) -> None:
        self.links: dict[bytes, Link] = {}
        self.ghosts: list[Link] = []
        self._peers = (b"peer-%d" % number for number in itertools.count(1))

    def connect(self) -> Link:
        """Return a new connection."""
        link = Link(next(self._peers))
        self.links[link.peer] = link
        return link

    def give_up(self, link: Link) -> None:
        """Let a worker leave a connection; nothing comes back on it, what it sent may still arrive."""
        del self.links[link.peer]
        if link.up:
            self.ghosts.append(link)

    def loaded(self) -> list[Link]:
        """Return the connections on which something is on its way to the daemon."""
        return [link for link in (*self.links.values(), *self.ghosts) if link.up]

    def take(self, picks: Sequence[tuple[int, int]]) -> list[tuple[bytes, bytes]]:
        """Take frames off for the daemon: of the connection picked so many, then of the next."""
        links, taken = self.loaded(), []
        for pick, num in picks:
            for link in _picked(pick, links):
                taken += [(link.peer, link.up.popleft()) for _ in range(min(num, len(link.up)))]
        return taken

    def answer(self, peer: bytes, frame: bytes) -> None:
        """Put a reply on its way, where anybody is there to hear it."""
        if peer in self.links:
            self.links[peer].down.append(frame)

    def lose_up(self, pick: int, place: int) -> int:
        """Lose a frame on its way to the daemon; return how many were lost."""
        for link in (found := _picked(pick, self.loaded())):
            del link.up[place % len(link.up)]
        return len(found)

    def lose_down(self, pick: int, num: int) -> int:
        """Lose the last answers on their way; return how many."""
        lost = 0
        for link in _picked(pick, [link for link in self.links.values() if link.down]):
            while link.down and lost < num:
                link.down.pop()
                lost += 1
        return lost

    def repeat(self, pick: int, place: int, behind: int) -> None:
        """Let a frame come once more, behind some others."""
        for link in _picked(pick, self.loaded()):
            place %= len(link.up)
            link.up.insert(min(place + behind + 1, len(link.up)), link.up[place])

    def reconnect(self, pick: int) -> None:
        """Let a connection come back as another one, in silence: what was on its way is gone."""
        for link in _picked(pick, list(self.links.values())):
            self._renew(link)

    def break_all(self) -> None:
        """End every connection with the daemon; who did not see it comes back in silence."""
        self.ghosts.clear()
        for link in list(self.links.values()):
            self._renew(link)

    def lose_all(self) -> None:
        """Lose all that is on its way."""
        self.ghosts.clear()
        for link in self.links.values():
            link.up.clear()
            link.down.clear()

    def _renew(self, link: Link) -> None:
        del self.links[link.peer]
        link.peer = next(self._peers)
        link.up.clear()
        link.down.clear()
        self.links[link.peer] = link


def _picked(pick: int, links: list[Link]) -> list[Link]:
    return [links[pick % len(links)]] if links else []
