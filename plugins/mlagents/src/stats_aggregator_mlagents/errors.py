"""What the adapter raises.

Exception
└── ImportError
    └── ModuleNotFoundError
        └── NotProvided     a plugin imports a name of ML-Agents that is not provided here
"""

from __future__ import annotations

import re

_MISSING_NAME = re.compile(r"cannot import name '([^']+)'")


class NotProvided(ModuleNotFoundError):  # noqa: N818 - the name says what happened
    """Raised when a plugin imports what only ML-Agents itself has; `name` is its full name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not provided by stats-aggregator-mlagents; install mlagents itself beside the "
            "daemon, or leave the plugin out",
            name=name,
        )

    @classmethod
    def explaining(cls, error: ImportError) -> NotProvided:
        """Return what Python says of a name that a provided module lacks, as a sentence of ours."""
        found = _MISSING_NAME.search(str(error))
        return cls(f"{error.name}.{found[1]}" if found else str(error.name))
