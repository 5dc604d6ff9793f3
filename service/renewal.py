"""Renews the filters' images, by whichever process holds the lease.

People who left the roster leave the filter with its next image; the log is never trimmed
past the image, so it cannot grow without renewals either.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from roster import keys
from roster.errors import Unavailable
from roster.images import build
from roster.logs import older_than

if TYPE_CHECKING:
    from roster.store import Store
    from service.screener import Partition, Screener

EVERY_S = 5.0
PAUSE_S = 0.2
"""Between two images: a burst makes all of them due at once, and every process takes each."""
LEASE_MS = 60_000
LEAST_CHANGES = 2_000
SHARE_OF_CAPACITY = 0.1
BUSY_PER_S = 500.0
PATIENCE = 4
"""While more changes than that come in, images wait until so many times more are due."""
RETENTION_CHECK_S = 3_600.0
DAY_MS = 86_400_000
BUCKETS_A_CALL = 32

log = structlog.get_logger("clearway.renewal")


class Renewer:
    """One process's part in keeping the images young; `tick` is called every `EVERY_S`."""

    def __init__(self, store: Store, screener: Screener, process_id: str, log_days: int) -> None:
        """Log entries older than `log_days` may go once an image includes them."""
        self._store = store
        self._screener = screener
        self._process_id = process_id
        self._keep_ms = log_days * DAY_MS
        self._checked_at = self._looked_at = time.monotonic()
        self._seen = 0

    async def tick(self) -> None:
        """Renew what is due, now and then; raises Unavailable."""
        now = time.monotonic()
        if not self._screener.ready:
            return
        share = PATIENCE if self._changes_per_s(now) > BUSY_PER_S else 1
        partitions = enumerate(self._screener.partitions)
        due = [number for number, each in partitions if self._due(each, share)]
        hourly = now - self._checked_at > RETENTION_CHECK_S
        if hourly:
            self._checked_at = now
            due = list(range(keys.PARTITIONS))
        if due and await self._leased():
            for number in due:
                await self._renew(number)
                if hourly:
                    await self._purge(number)
                await asyncio.sleep(PAUSE_S)

    async def _purge(self, number: int) -> None:
        """Forget what happened to people longer ago than their history is kept."""
        cutoff_ms = time.time_ns() // 1_000_000 - self._store.keep_ms
        for first in range(0, keys.BUCKETS, BUCKETS_A_CALL):
            buckets = range(first, first + BUCKETS_A_CALL)
            await self._store.purge_history(number, buckets, cutoff_ms)

    def _changes_per_s(self, now: float) -> float:
        """How many changes a second have been followed since the last look."""
        seen = sum(partition.position.seq for partition in self._screener.partitions)
        rate = (seen - self._seen) / max(1e-9, now - self._looked_at)
        self._seen, self._looked_at = seen, now
        return rate

    def _due(self, partition: Partition, times: int) -> bool:
        if partition.rewound:
            return False
        if partition.image is None or partition.filter.overfull:
            return bool(partition.position.seq)
        since = partition.position.seq - partition.image.position.seq
        return since >= times * max(LEAST_CHANGES, partition.filter.capacity * SHARE_OF_CAPACITY)

    async def _leased(self) -> bool:
        command = ("SET", keys.RENEWAL, self._process_id, "NX", "PX", LEASE_MS)
        (taken,) = await self._store.nodes.keyed(keys.RENEWAL, [command])
        return taken is not None

    async def _renew(self, number: int) -> None:
        tails = await self._store.tails({number: None}, {})
        here = tails[number].position
        token_filter = await build(self._store, number)
        cutoff_ms = tails[number].now_ms - self._keep_ms
        trim_to = await older_than(self._store, number, cutoff_ms)
        try:
            taken = await self._store.set_image(here, token_filter.to_bytes(), trim_to)
        except Unavailable:
            log.warning("image not renewed", partition=number)
            raise
        log.info("image renewed", partition=number, taken=taken, people=token_filter.count)
