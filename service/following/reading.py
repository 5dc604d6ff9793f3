"""How much of the logs a process reads at a time: less after a time-out, then more again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.errors import Unavailable
from roster.redis.calls import NOWHERE
from roster.storage.store import TAIL_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.records.position import Position
    from roster.records.replies import Image, Polled, Tail
    from roster.redis.calls import Listing
    from roster.storage.store import Store
    from service.following.screener import Screener

LEAST = 64
"""Entries at a time: one of each partition."""
AT_ONCE = 16
"""Images at a time: 3 MB of a national roster."""


class Reader:
    """Reads logs and images with the high-water marks of one process; raises Unavailable."""

    def __init__(self, store: Store, screener: Screener) -> None:
        """Reads from `store`."""
        self.store = store
        self._screener = screener
        self._entries = TAIL_ENTRIES

    @property
    def at_once(self) -> int:
        """How many partitions to take on together: their images come in one go."""
        return max(1, AT_ONCE * self._entries // TAIL_ENTRIES)

    async def tails(self, asked: Mapping[int, Position | None]) -> dict[int, Tail]:
        """A share of what stands behind each of these positions."""
        return (await self.poll(asked, NOWHERE)).tails

    async def poll(self, asked: Mapping[int, Position | None], listing: Listing) -> Polled:
        """The same, from servers that list this process before."""
        limit = max(1, self._entries // max(1, len(asked)))
        try:
            polled = await self.store.poll(asked, self._screener.high_water, limit, listing)
        except Unavailable:
            self._less()
            raise
        self._entries = min(TAIL_ENTRIES, self._entries + LEAST)
        return polled

    async def images(self, numbers: Sequence[int]) -> list[Image | None]:
        """These partitions' images."""
        try:
            return await self.store.images(numbers)
        except Unavailable:
            self._less()
            raise

    def _less(self) -> None:
        self._entries = max(LEAST, self._entries // 4)
