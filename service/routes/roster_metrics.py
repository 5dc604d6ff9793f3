"""What the roster holds, and what has become of its loads and its servers, as metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roster.errors import Unavailable
from roster.storage.audit import late_counts
from roster.storage.counters import BY_LOAD, LEGS
from roster.storage.dictionary import last_of_each_list, standing_refusals
from roster.times import now_ms, parse_time
from service.background.summary import last_changes, summarise
from service.metrics.families import Family, gauge, labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roster.records.meta import Meta
    from roster.storage.counters import Lag
    from roster.storage.dictionary import Load
    from service.parts import Service
    from service.upkeep import Upkeep

DAY_S = 86_400
WITHIN_S = 2.0
"""Prometheus waits 10 s for all metrics, and those of the process are there without Redis."""


async def roster_families(upkeep: Upkeep) -> list[Family]:
    """What Redis tells, as far as it answers in time."""
    found = list(_servers(upkeep))
    service = upkeep.service
    try:
        async with asyncio.timeout(WITHIN_S):
            metas = await service.changes_store.metas()
            disabled = await upkeep.disabled.all()
            late = await late_counts(service.changes_store.nodes)
            loads = await service.dictionary.newest_loads()
            lags = await upkeep.tallies.lags([BY_LOAD + leg for leg in LEGS], now_ms())
    except (Unavailable, TimeoutError):
        return found
    found += [*_of_metas(service, metas), *_of_lists(service, metas, disabled)]
    text = "Denials given after a removal was decided, before it arrived."
    found.append(labelled("late_denials", text, "list", "court", values=late))
    return [*found, *_of_loads(loads), _of_lags(lags)]


def _of_metas(service: Service, metas: list[Meta]) -> Iterator[Family]:
    lists = service.lists
    found = summarise(metas, lists, ())
    yield gauge("people", "People with an active or suspended entry.", float(found.people))
    entries = {
        (name, state): float(getattr(each, state))
        for name, each in found.lists.items()
        for state in found.entries
    }
    yield labelled("entries", "Entries by list and state.", "list", "state", values=entries)
    text = "When a list was last changed by an op."
    changed = last_changes(metas, lists)
    yield labelled("last_change_timestamp_seconds", text, "list", "op", values=changed)


def _of_lists(
    service: Service, metas: list[Meta], disabled: Mapping[str, object]
) -> Iterator[Family]:
    lists = summarise(metas, service.lists, disabled).lists
    as_of = {name: parse_time(each.as_of) / 1000 for name, each in lists.items() if each.as_of}
    text = "As of when the last full file speaks for a list."
    yield labelled("list_as_of_timestamp_seconds", text, "list", values=as_of)
    rhythm = {name: float(each.rhythm_days * DAY_S) for name, each in lists.items()}
    known = {name: each for name, each in rhythm.items() if each}
    text = "How old a list's last full file may become, from the day that it is of."
    yield labelled("list_rhythm_seconds", text, "list", values=known)
    covered = {name: float(each.covered) for name, each in lists.items()}
    yield labelled("list_covered", "Whether a list was loaded in full.", "list", values=covered)
    off = {name: float(each.disabled) for name, each in lists.items()}
    yield labelled("list_disabled", "Whether an operator has disabled it.", "list", values=off)


def _of_loads(loads: Mapping[int, Load]) -> Iterator[Family]:
    """The last load of each list, of the newest; also one that undoes, or has not ended."""
    last = last_of_each_list(loads)
    at = {name: each.applied_at_ms / 1000 for name, each in last.items() if each.applied_at_ms}
    text = "When the last load of a list was applied."
    yield labelled("load_timestamp_seconds", text, "list", values=at)
    rows = {
        (name, outcome): float(count)
        for name, each in last.items()
        for outcome, count in each.did.get(name, {}).items()
    }
    text = "Entries of a list's last load, by what became of them."
    yield labelled("load_entries", text, "list", "outcome", values=rows)
    rejected = {name: float(sum(each.rejected.values())) for name, each in last.items()}
    text = "Rows that the last load of a list has rejected, of all its lists."
    yield labelled("load_rejected_rows", text, "list", values=rejected)
    begun = {name: float(not each.applied_at_ms) for name, each in last.items()}
    text = "Whether the last load of a list has not ended: it is under way, or was killed."
    yield labelled("load_open", text, "list", values=begun)
    stands = dict.fromkeys(last, 0.0) | dict.fromkeys(standing_refusals(loads, now_ms()), 1.0)
    text = "Whether `watch` has refused a list's newest file; without a list: one that names none."
    yield labelled("load_refused", text, "list", values=stands)


def _of_lags(lags: Mapping[str, Lag]) -> Family:
    """Not a histogram: a load's removals come all at once, and are counted by all processes."""
    found = {
        (leg.removeprefix(BY_LOAD), percentile): value_ms / 1000
        for leg, lag in lags.items()
        for percentile, value_ms in (("50", lag.p50), ("99", lag.p99), ("100", lag.max))
    }
    text = "Removals that loads have brought in the last day, by leg of their way."
    return labelled("load_removal_lag_seconds", text, "leg", "percentile", values=found)


def _servers(upkeep: Upkeep) -> Iterator[Family]:
    """What the servers said of themselves when they were last looked at."""
    used = {each.address: float(each.used_bytes) for each in upkeep.facts or ()}
    yield labelled("redis_memory_bytes", "Memory of a server.", "server", values=used)
    most = {each.address: float(each.max_bytes) for each in upkeep.facts or () if each.max_bytes}
    text = "`maxmemory` of a server; none where it has none."
    yield labelled("redis_memory_max_bytes", text, "server", values=most)
    text = "The append-only file of a server."
    files = {each.address: float(each.aof_bytes) for each in upkeep.facts or () if each.aof_bytes}
    yield labelled("redis_aof_bytes", text, "server", values=files)
    replicas = {each.address: float(each.replicas) for each in upkeep.facts or ()}
    yield labelled("redis_replicas", "Connected replicas.", "server", values=replicas)
