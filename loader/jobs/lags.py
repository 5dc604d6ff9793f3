"""How long the removals that a load brought took to be effective, for `removal_lag_ms`."""

from __future__ import annotations

import time
from collections.abc import Iterable

from roster.errors import ClearwayError
from roster.records.entry import Op, State
from roster.records.position import Position
from roster.records.record import unpack_provenance
from roster.records.replies import LogEntry
from roster.storage.counters import CounterStore
from roster.storage.store import Store

_ENDINGS = frozenset({Op.REMOVE, Op.ABSENT})
_LIMIT = 5_000


async def count(store: Store, begun: Iterable[Position], received_at_ms: int) -> int:
    """How many removals were counted: those that the logs hold behind these positions.

    A list's first load writes no log, so it counts nothing. What the API removed meanwhile
    has been counted by the service and is left out.
    """
    tallies = CounterStore(store.nodes)
    now_ms, counted = time.time_ns() // 1_000_000, 0
    for position in begun:
        for entry in await _behind(store, position):
            if entry.op not in _ENDINGS or entry.was is not State.ACTIVE:
                continue
            provenance = unpack_provenance(entry.provenance, {})
            if provenance.source == "api":
                continue
            counted += 1
            tallies.lagged("service", max(0, entry.applied_at_ms - received_at_ms), now_ms)
            if provenance.decided_at_ms is not None:
                lag_ms = max(0, entry.applied_at_ms - provenance.decided_at_ms)
                tallies.lagged("source", lag_ms, now_ms)
    await tallies.flush(now_ms)
    return counted


async def _behind(store: Store, position: Position) -> list[LogEntry]:
    """The log behind a position, or nothing where it no longer reaches back to it."""
    found: list[LogEntry] = []
    try:
        while True:
            tail = await store.log(position, _LIMIT)
            found += tail.entries
            if not tail.continues or not tail.logged:
                return found
            position = tail.last
    except ClearwayError:  # the load is done; a figure less harms nobody
        return found
