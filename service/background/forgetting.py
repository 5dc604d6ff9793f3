"""Forgets what is kept for a while only, a small share at a time, by one process of all.

A round goes through all people once a day. How far it has come stands in Redis, so that a
restart neither begins anew nor waits for a day, and a busy roster is gone through as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import structlog

from roster import keys
from roster.storage.audit import trim as trim_audit
from roster.storage.images import BUCKETS_A_CALL
from roster.storage.processes import Processes
from roster.storage.retention import (
    BucketRange,
    RetentionPeriods,
    forget,
    purge_histories,
    retire_libraries,
    trim,
)
from roster.times import DAY_MS, format_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.storage.api_keys import ApiKey, KeyStore
    from roster.storage.store import Store

STEPS_A_SHARE = 64
"""Of 32 buckets each: a round takes three minutes of ticks."""
PAUSE_S = 0.02
_CALLS = keys.BUCKETS // BUCKETS_A_CALL
STEPS = keys.PARTITIONS * _CALLS


log = structlog.get_logger("clearway.forgetting")


class Progress(NamedTuple):
    """When the round under way began, and how many of its steps are done."""

    began_ms: int
    steps: int


class Forgetting:
    """The rounds of one roster; `share` is called by whoever holds the lease."""

    def __init__(
        self, store: Store, key_store: KeyStore, terms: RetentionPeriods, lists: bytes
    ) -> None:
        """`lists` are the codes of all lists."""
        self._store = store
        self._key_store = key_store
        self._terms = terms
        self._lists = lists

    async def share(self) -> None:
        """Get on with the round under way; raises Unavailable."""
        now_ms = (await self._store.tails({0: None}, {}))[0].now_ms
        began_ms, done = await self._progress()
        if done >= STEPS and 0 <= now_ms - began_ms < DAY_MS:
            return
        if done >= STEPS:
            began_ms, done = now_ms, 0
            await self._key_store.forget(now_ms - self._terms.keys_ms)
            warn_of((await self._key_store.all()).values(), now_ms)
            await retire_libraries(self._store.nodes, await Processes(self._store.nodes).live())
        upto = min(done + STEPS_A_SHARE, STEPS)
        for step in range(done, upto):
            await self._step(step, now_ms)
            await asyncio.sleep(PAUSE_S)
        await self._note(Progress(began_ms, upto))

    async def _step(self, step: int, now_ms: int) -> None:
        """Some buckets; with the first of a partition also its log and its audit."""
        partition, call = divmod(step, _CALLS)
        first = call * BUCKETS_A_CALL
        place = BucketRange(partition, range(first, first + BUCKETS_A_CALL), now_ms)
        if not call:
            await trim(self._store, partition, now_ms - self._terms.log_ms)
            await trim_audit(self._store.nodes, partition, now_ms - self._terms.history_ms)
        await purge_histories(
            self._store, partition, place.buckets, now_ms - self._terms.history_ms
        )
        await forget(self._store, place, self._terms, self._lists)

    async def _progress(self) -> Progress:
        (data,) = await self._store.nodes.keyed(keys.FORGETTING, [("GET", keys.FORGETTING)])
        began, _, steps = (data or b"0 %d" % STEPS).partition(b" ")
        return Progress(int(began), int(steps))

    async def _note(self, progress: Progress) -> None:
        text = f"{progress.began_ms} {progress.steps}"
        await self._store.nodes.keyed(keys.FORGETTING, [("SET", keys.FORGETTING, text)])


def warn_of(known: Iterable[ApiKey], now_ms: int) -> None:
    """Log a line for each key that soon expires."""
    for key in known:
        if key.ends_soon(now_ms) and key.expires_ms is not None:
            until = format_ms(key.expires_ms)
            log.warning("API key expires soon", key=key.id, name=key.name, until=until)
