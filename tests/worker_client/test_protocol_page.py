"""PROTOCOL.md is in step with the code: its bytes, kinds, codes and limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stats_aggregator_client import liveness
from stats_aggregator_client.flight import MIN_CREDIT_BYTES
from stats_aggregator_client.wire import MAX_MESSAGE_BYTES, Kind, RejectCode, decode
from tests.worker_client import samples
from tests.worker_client.samples import SAMPLES, golden

PAGE = (Path(__file__).parents[2] / "worker_client" / "PROTOCOL.md").read_text()
SHOWN = dict(re.findall(r"```hex (\w+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", list(samples.SHOWN))
def test_the_page_shows_the_golden_bytes_of_every_kind(name: str) -> None:
    assert bytes.fromhex(SHOWN[name]) == golden(name)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_the_page_names_every_kind_with_its_number(kind: Kind) -> None:
    assert re.search(rf"^###.* {kind.name}, {int(kind)}\b", PAGE, re.MULTILINE)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_the_page_names_every_field(kind: Kind) -> None:
    missing = [name for name in SAMPLES[kind]._fields if not re.search(rf"\b{name}\b", PAGE)]
    assert missing in ([], ["status"])  # STATUS_REPLY's one field is its map


@pytest.mark.parametrize("code", list(RejectCode), ids=lambda code: code.name)
def test_the_page_explains_every_code(code: RejectCode) -> None:
    assert f"| {int(code)} | {code.name} |" in PAGE


def test_the_page_states_the_limits() -> None:
    assert f"{MAX_MESSAGE_BYTES:,} bytes" in PAGE
    assert f"{MIN_CREDIT_BYTES:,} bytes" in PAGE
    assert f"nothing was sent for {liveness.HEARTBEAT_NS // liveness.SECOND} s" in PAGE
    assert f"heard for {liveness.SILENCE_NS // liveness.SECOND} s" in PAGE


def test_the_shown_messages_decode() -> None:
    assert {name: decode(bytes.fromhex(shown)) for name, shown in SHOWN.items()} == samples.SHOWN
