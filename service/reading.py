"""How much of the logs a process reads at a time: less after a time-out, then more again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.errors import Unavailable
from roster.store import TAIL_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.position import Position
    from roster.replies import Image, Tail
    from roster.store import Store
    from service.screener import Screener

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
        limit = max(1, self._entries // max(1, len(asked)))
        try:
            tails = await self.store.tails(asked, self._screener.high_water, limit)
        except Unavailable:
            self._less()
            raise
        self._entries = min(TAIL_ENTRIES, self._entries + LEAST)
        return tails

    async def images(self, numbers: Sequence[int]) -> list[Image | None]:
        """These partitions' images."""
        try:
            return await self.store.images(numbers)
        except Unavailable:
            self._less()
            raise

    def _less(self) -> None:
        self._entries = max(LEAST, self._entries // 4)
