"""numpy, where the process has it already: it is never imported for us, and nothing needs it."""

from __future__ import annotations

import sys
from typing import Any

LEAST_VALUES = 256
"""Below so many values numpy's calls cost more than they save."""


def numpy_for(num_values: int) -> Any | None:
    """Return numpy if it is in use and helps with so many values."""
    if num_values < LEAST_VALUES:
        return None
    # A module that is just being imported stands there too, and is empty yet.
    module = sys.modules.get("numpy")
    return module if hasattr(module, "bincount") and hasattr(module, "errstate") else None
