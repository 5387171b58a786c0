"""Order: what makes one value later than another."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .segments import Ints

_SESSION = struct.Struct(">QQ")


def split_session(session: bytes) -> tuple[int, int]:
    """Return the 16 bytes of a session as two integers that order like the bytes."""
    high, low = _SESSION.unpack(session)
    return high, low


class Order(NamedTuple):
    """By columns: time, then session, then seq."""

    time: Ints
    session_high: NDArray[np.uint64]
    session_low: NDArray[np.uint64]
    seq: Ints

    @classmethod
    def of(cls, times: list[int], sessions: list[tuple[int, int]], seqs: list[int]) -> Order:
        """Return the order of values by their times, sessions and seqs."""
        return cls(
            np.array(times, dtype=np.int64),
            np.array([high for high, _ in sessions], dtype=np.uint64),
            np.array([low for _, low in sessions], dtype=np.uint64),
            np.array(seqs, dtype=np.int64),
        )

    def take(self, rows: Ints) -> Order:
        """Return the rows at `rows`."""
        return Order(self.time[rows], self.session_high[rows], self.session_low[rows], self.seq[rows])

    def after(self, other: Order) -> NDArray[np.bool_]:
        """Return, row by row, whether this is later than `other`."""
        later = self.seq > other.seq
        for mine, theirs in zip(reversed(self[:3]), reversed(other[:3]), strict=True):
            later = (mine > theirs) | ((mine == theirs) & later)
        return later

    def sorted_rows(self, *leading: Ints) -> Ints:
        """Return the rows in ascending order of `leading`, then of time, session and seq."""
        return np.lexsort((self.seq, self.session_low, self.session_high, self.time, *reversed(leading)))

    def ranks(self) -> Ints:
        """Return the place of each row in order."""
        ranks = np.empty(len(self.seq), dtype=np.int64)
        ranks[self.sorted_rows()] = np.arange(len(ranks))
        return ranks
