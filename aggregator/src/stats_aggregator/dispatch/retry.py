"""Retry: when a failed call is repeated, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """Capped exponential backoff with jitter.

    `attempts` failures in a row that are no OSError set an entry aside. An OSError is the world's fault, a
    full disk or a service that is down: such a call is repeated for ever.
    """

    first_s: float = 0.5
    limit_s: float = 60.0
    attempts: int = 5

    def delay_s(self, failures: int, jitter: float) -> float:
        """Return how long to wait after the `failures`-th failure in a row; `jitter` is from 0 to 1."""
        # Past 30 doublings the limit has long been reached, and a float would overflow.
        full_s = min(self.limit_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return full_s * (1 + jitter) / 2
