"""Renews the filters' images and forgets what is old, by whichever process holds the lease.

People who left the roster leave the filter with its next image; the log is never trimmed
past the image, so it cannot grow without renewals either.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from roster import keys
from roster.errors import Unavailable
from roster.storage.images import renew
from roster.storage.lease import Lease
from roster.times import DAY_MS, boot_s, now_ms

if TYPE_CHECKING:
    from roster.storage.store import Store
    from service.background.forgetting import Forgetting
    from service.following.partition import Partition
    from service.following.screener import Screener

EVERY_S = 5.0
PAUSE_S = 0.2
"""Between two images: a burst makes all of them due at once, and every process takes each."""
LEASE_MS = 20_000
LEAST_CHANGES = 2_000
SHARE_OF_CAPACITY = 0.1
BUSY_PER_S = 500.0
PATIENCE = 4
"""While more changes than that come in, images wait until so many times more are due."""

log = structlog.get_logger("clearway.renewal")


class Renewer:
    """One process's part in keeping the roster tidy; `tick` is called every `EVERY_S`.

    Whoever has the lease keeps it for as long as it lives and is ready, and hands it on.
    """

    def __init__(
        self, store: Store, screener: Screener, forgetting: Forgetting, log_days: int
    ) -> None:
        """Log entries older than `log_days` may go once an image includes them."""
        self._store = store
        self._screener = screener
        self._forgetting = forgetting
        self._lease = Lease(store.nodes, keys.RENEWAL, LEASE_MS)
        self._held = False
        self._keep_ms = log_days * DAY_MS
        self._looked_at = boot_s()
        self._seen = 0

    async def tick(self) -> None:
        """Renew what is due, then forget a little; raises Unavailable."""
        if not self._screener.ready:
            await self.leave()
            return
        due = self._all_due()
        if not await self._is_mine():
            return
        for number in due:
            await self._renew(number)
            await asyncio.sleep(PAUSE_S)
            if not await self._is_mine():
                return
        await self._forgetting.share()

    async def leave(self) -> None:
        """Let another process have the lease at once; raises Unavailable."""
        if self._held:
            self._held = False
            await self._lease.give_back()

    async def _is_mine(self) -> bool:
        """Whether this process has the lease, for another `LEASE_MS`."""
        self._held = self._held and await self._lease.renew()
        self._held = self._held or await self._lease.take() is None
        return self._held

    def _all_due(self) -> list[int]:
        share = PATIENCE if self._changes_per_s(boot_s()) > BUSY_PER_S else 1
        partitions = enumerate(self._screener.partitions)
        return [number for number, each in partitions if self._due(each, share)]

    def _changes_per_s(self, now: float) -> float:
        """How many changes a second have been followed since the last look."""
        seen = sum(partition.position.seq for partition in self._screener.partitions)
        rate = (seen - self._seen) / max(1e-9, now - self._looked_at)
        self._seen, self._looked_at = seen, now
        return rate

    def _due(self, partition: Partition, times: int) -> bool:
        if partition.rewound or not partition.known:
            return False
        if partition.image is None or partition.filter.overfull:
            return bool(partition.position.seq)
        least = max(LEAST_CHANGES, partition.filter.capacity * SHARE_OF_CAPACITY)
        return partition.changes >= times * least

    async def _renew(self, number: int) -> None:
        cutoff_ms = now_ms() - self._keep_ms
        try:
            token_filter = await renew(self._store, number, cutoff_ms)
        except Unavailable:
            log.warning("image not renewed", partition=number)
            raise
        log.info("image renewed", partition=number, people=token_filter and token_filter.count)
