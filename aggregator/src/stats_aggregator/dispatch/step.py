"""Step: what came of a look at what there is to do."""

from __future__ import annotations

import math
from typing import NamedTuple


class Step(NamedTuple):
    """How long until the next look makes sense, and whether the last call failed."""

    wait_s: float
    failing: bool = False


AGAIN = Step(0.0)
IDLE = Step(math.inf)
