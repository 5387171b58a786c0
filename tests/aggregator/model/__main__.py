"""`make fuzz`: the model's machine under ever new examples, for FUZZ_MINUTES."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.aggregator.model.machine import ROOMY, TIGHT, Machine

_EXAMPLES = 100


def main(minutes: float) -> None:
    """Run until the time is over, or something fails; hypothesis then prints the shortest way to it."""
    logging.disable(logging.CRITICAL)
    fired: Counter[str] = Counter()
    over_s, examples = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < over_s:
        for scarcity in (ROOMY, TIGHT):
            machine = type("Machine", (Machine,), {"settings": scarcity, "fired": fired})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=_EXAMPLES, stateful_step_count=60, deadline=None, database=None,
                    print_blob=True, suppress_health_check=list(HealthCheck),
                ),
            )  # fmt: skip
            examples += _EXAMPLES
    print(f"{examples} examples in {minutes:g} minutes; what came to pass:")
    for name, times in sorted(fired.items()):
        print(f"  {name:<34}{times:>10}")


if __name__ == "__main__":
    main(float(os.environ.get("FUZZ_MINUTES", "10")))
