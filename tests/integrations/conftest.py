"""Fixtures: a daemon that is scripted, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stats_aggregator_client import StatsClient
from tests.worker_client.peer import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def client(peer: Peer) -> Iterator[StatsClient]:
    with StatsClient(peer.address) as client:
        yield client
