"""What the journal's tests share."""

from __future__ import annotations

import pytest

from stats_aggregator.journal import journal


@pytest.fixture(autouse=True, params=["by itself", "beside"])
def written(request, monkeypatch):
    """Let appends be written by the thread that asks for it, and by the journal's own."""
    monkeypatch.setattr(journal, "BESIDE_BYTES", 0 if request.param == "beside" else 1 << 30)
    return request.param
