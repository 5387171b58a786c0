"""What the client says is the same whether the process uses logging or has never imported it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = (
    "from stats_aggregator_client.log import LOGGER\n"
    "from stats_aggregator_client.complaints import Complaints\n"
    "class Bad:\n"
    "    def __repr__(self): raise KeyError('no')\n"
    "LOGGER.warning('%d of %r', 3, 'k\\u00e9')\n"
    "LOGGER.error('100% without arguments')\n"
    "LOGGER.info('in the course of things')\n"
    "LOGGER.debug('a fault', exc_info=True)\n"
    "complaints = Complaints()\n"
    "for _ in range(2): complaints.once('topic', 'said of %s', 1)\n"
)


def said(script: str) -> str:
    command = [sys.executable, "-X", "utf8", "-c", script]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stderr


def test_without_logging_warnings_are_on_standard_error_as_logging_has_them() -> None:
    without = said(f"{SCRIPT}import sys; assert 'logging' not in sys.modules")
    assert without == said(f"import logging\n{SCRIPT}")
    assert without == "3 of 'k\u00e9'\n100% without arguments\nsaid of 1\n"


def test_who_imports_logging_later_has_it_from_then_on() -> None:
    setup = (
        "import stats_aggregator_client, logging\n"
        "logging.basicConfig(format='%(levelname)s %(name)s %(module)s %(message)s', level=logging.INFO)\n"
    )
    assert said(f"{setup}{SCRIPT}").splitlines()[:3] == [
        "WARNING stats_aggregator_client <string> 3 of 'k\u00e9'",
        "ERROR stats_aggregator_client <string> 100% without arguments",
        "INFO stats_aggregator_client <string> in the course of things",
    ]


@pytest.mark.parametrize("broken", ["sys.stderr = None", "sys.stderr.close()", "LOGGER.error('%r', Bad())"])
def test_what_cannot_be_said_raises_nothing(broken: str) -> None:
    said(f"{SCRIPT}import sys\n{broken}\nLOGGER.warning('%s of it', 'nothing')")
