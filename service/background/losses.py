"""Writes down what this process had read of logs that are lost, for whoever thinks of accepting.

A roster that has gone back has forgotten whom it freed. The feed's memory has not, until it
begins anew: what it has beyond the log that is left is kept in Redis while the roster is rewound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.errors import Unavailable, cause_of
from roster.redis.logins import NOT_ALLOWED
from roster.storage.lost import RememberedEntry, forget, remember

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from roster.records.meta import Meta
    from roster.storage.store import Store
    from service.feed.log import FeedEntry, LostEntries
    from service.following.screener import Screener

EVERY_S = 0.5


class LossKeeper:
    """Writes for one process."""

    def __init__(self, lost: LostEntries, store: Store, screener: Screener, keep_ms: int) -> None:
        """What is `lost` is kept in the store for `keep_ms` at most."""
        self._lost = lost
        self._store = store
        self._screener = screener
        self._keep_ms = keep_ms

    async def write(self) -> None:
        """Write what is lost, and drop it where it is made good; raises Unavailable.

        Whose user may not does neither, and tries no more.
        """
        try:
            await self._write()
            await self._clear_up()
        except Unavailable as exc:
            if NOT_ALLOWED in cause_of(exc):
                self._lost.entries.clear()
                self._lost.rewound.clear()
            raise

    async def _write(self) -> None:
        waiting = self._lost.entries
        numbers = list(waiting)
        metas = await self._store.metas(numbers) if numbers else ()
        for number, meta in zip(numbers, metas, strict=True):
            found = list(_lost(number, meta, waiting[number]))
            await remember(self._store, found, self._keep_ms)
            del waiting[number]

    async def _clear_up(self) -> None:
        partitions = self._screener.partitions
        if ended := {each for each in self._lost.rewound if not partitions[each].rewound}:
            await forget(self._store, ended)
            self._lost.rewound -= ended


def _lost(partition: int, meta: Meta, read: Sequence[FeedEntry]) -> Iterator[RememberedEntry]:
    """What lies behind the log that is left; all, where that may be another branch.

    Whoever reads it compares with the log.
    """
    kept, last = meta.kept(partition), meta.lost(partition)
    places = [each.place for each in read]
    on_branch = (
        kept is None
        or last is None
        or kept.includes(last)
        or any(place != kept and place[:3] == kept[:3] for place in places)
    )
    for each, place in zip(read, places, strict=True):
        if on_branch or kept is None or not kept.includes(place):
            yield RememberedEntry(place, each.data[10:])
