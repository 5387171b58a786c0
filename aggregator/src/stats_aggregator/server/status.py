"""Status: how the daemon is, as plain values that `stats-aggregator status` prints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import msgpack

from .. import __version__
from ..dispatch.calls import tag
from ..engine.engine import Engine
from ..engine.sessions import Liveness, Session
from ..errors import StoreError
from ..periods.periods import Category
from ..store.outbox import Outbox, PluginRow, WriterState

_LISTED_BYTES = {
    "runs": 150_000,
    "workers": 350_000,
    "categories": 250_000,
    "writers": 150_000,
    "plugins": 50_000,
}
"""How much of each list is told: a reply is one message, and names may be long."""
LONG_CALL_S = 5.0
"""A writer that has been in one call for longer is said to be in it."""


class ProcessState(NamedTuple):
    """What is known of a plugin's process; `state` as in a PluginRow, `calls` as of `calls_under_way`."""

    state: str
    why: str
    pid: int | None
    restarts: int
    calls: Mapping[bytes, float]


def describe(engine: Engine, address: str, started_ns: int, now_ns: int) -> dict[str, Any]:
    """Return what the engine knows: runs, workers, categories, journal, and what was refused."""
    state, journal = engine.state, engine.journal
    sessions = sorted(state.sessions, key=lambda s: (s.run, s.worker))
    categories = sorted(state.categories.values(), key=lambda c: (c.run, c.name))
    return {
        "version": __version__,
        "pid": os.getpid(),
        "address": address,
        "server_id": engine.server_id.hex(),
        "run": engine.run,
        "uptime_s": round((now_ns - started_ns) / 1e9, 1),
        "state": _state(engine),
        "values_per_s": round(sum(s.values_per_s for s in sessions), 1),
        "totals": asdict(engine.keeper.totals),
        "sessions": _by_liveness(sessions),
        "open": _open(categories),
        "runs": _listed("runs", _runs(sessions, categories)),
        "workers": _listed("workers", (_worker(session, now_ns) for session in sessions)),
        "categories": _listed("categories", map(_category, categories)),
        "journal": {
            "bytes": journal.size_bytes,
            "segments": journal.segments,
            "syncs": journal.sync_times.num,
            "last_sync_ms": round(journal.sync_times.last_s * 1e3, 3),
            "sync_s": round(journal.sync_times.sum_s, 6),
            "syncs_by_s": list(journal.sync_times.up_to()),
            "checkpoints": journal.checkpoints,
        },
        "closer": {"waiting": engine.closer.waiting, "waits_for": engine.closer.waits_for},
        "received": dict(engine.reception.received),
        "rejected": dict(engine.reception.rejected),
    }


def describe_writers(outbox: Outbox, processes: Mapping[str, ProcessState], now_ns: int) -> dict[str, Any]:
    """Return what the store knows of writers and plugins; `processes` is what is known of each plugin's."""
    try:
        writers, plugins = outbox.writer_states(), outbox.plugins()
    except StoreError as error:
        return {"writers": [], "plugins": [], "store_error": str(error)}
    states = {
        row.plugin: processes.get(row.plugin, ProcessState(row.state, row.why, None, 0, {}))
        for row in plugins
    }
    # Those whose run has ended are the first to be left out.
    writers.sort(key=lambda row: row.state == "closed")
    return {
        "writers": _listed("writers", (_writer(row, states[row.plugin], now_ns) for row in writers)),
        "plugins": _listed("plugins", (_plugin(row, states[row.plugin]) for row in plugins)),
    }


def _plugin(row: PluginRow, process: ProcessState) -> Mapping[str, Any]:
    told = {**row._asdict(), **process._asdict()}
    told["in_call_s"] = round(max(told.pop("calls").values(), default=0.0), 1)
    return told


def _writer(row: WriterState, process: ProcessState, now_ns: int) -> Mapping[str, Any]:
    told = row._asdict()
    told["retry_in_s"] = round(max(told.pop("retry_ns") - now_ns, 0) / 1e9, 1)
    told["in_call_s"] = round(process.calls.get(tag(row.run), 0.0), 1)
    told["state"] = _writer_state(row, process, told["in_call_s"])
    return told


def _writer_state(row: WriterState, process: ProcessState, in_call_s: float) -> str:
    """Return in a word or two what a writer is doing, or why it does nothing."""
    if process.state != "loaded":
        return "not loaded" if process.state == "failed" else process.state
    if in_call_s > LONG_CALL_S:
        return "in a call"
    if row.state == "ok":
        return "delivering" if row.backlog else "up to date"
    return row.state


def _listed(name: str, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows, in their order, that fit into the list's share of a message."""
    listed, left_bytes = [], _LISTED_BYTES[name]
    for row in rows:
        left_bytes -= len(msgpack.packb(row))
        if left_bytes < 0:
            break
        listed.append(row)
    return listed


def _state(engine: Engine) -> str:
    waits_for = "room on the disk" if engine.stalled else engine.closer.waits_for
    if waits_for:
        return f"waiting for {waits_for}"
    return "stopping" if engine.stopping else "running"


def _by_liveness(sessions: list[Session]) -> dict[str, int]:
    found = dict.fromkeys((liveness.value for liveness in Liveness), 0)
    for session in sessions:
        found[session.liveness.value] += 1
    return found


def _open(categories: list[Category]) -> dict[str, int]:
    """Return what is open over all categories, however many of these are told of one by one."""
    accumulators = [period.accumulator for category in categories for period in category.periods.values()]
    return {
        "categories": len(categories),
        "periods": len(accumulators),
        "series": sum(len(each.series) for each in accumulators),
        "waiting_values": sum(each.num_values for each in accumulators),
    }


def _runs(sessions: list[Session], categories: list[Category]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for category in categories:
        run = found.setdefault(category.run, _new_run(category.run))
        run["categories"] += 1
        run["open_periods"] += len(category.periods)
        run["waiting_values"] += sum(p.accumulator.num_values for p in category.periods.values())
    for session in sessions:
        run = found.setdefault(session.run, _new_run(session.run))
        run["workers"][session.liveness.value] += 1
        run["values_per_s"] = round(run["values_per_s"] + session.values_per_s, 1)
    return sorted(found.values(), key=lambda run: run["run"])


def _new_run(name: str) -> dict[str, Any]:
    return {
        "run": name,
        "workers": _by_liveness([]),
        "categories": 0,
        "open_periods": 0,
        "waiting_values": 0,
        "values_per_s": 0.0,
    }


def _worker(session: Session, now_ns: int) -> Mapping[str, Any]:
    return {
        "run": session.run,
        "worker": session.worker,
        "state": session.liveness.value,
        "heard_s_ago": round(max(now_ns - session.heard_ns, 0) / 1e9, 1),
        "batches": session.batches,
        "values": session.values,
        "values_per_s": round(session.values_per_s, 1),
        "duplicates": session.duplicates,
        **{name: value for name, value in session.info.items() if name in ("host", "pid")},
    }


def _category(category: Category) -> Mapping[str, Any]:
    periods = category.periods.values()
    return {
        "run": category.run,
        "category": category.name,
        "ends_by": "time" if category.by_time else category.every.mode.value,
        "step": max(category.axis.position, category.axis.last, 0),
        "periods_closed": category.next_ordinal - 1 - len(periods),
        "open_periods": len(periods),
        "waiting_values": sum(period.accumulator.num_values for period in periods),
        "series": max((len(period.accumulator.series) for period in periods), default=0),
    }
