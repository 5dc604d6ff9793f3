"""Entries of the logs behind a cursor: from memory, and from Redis where they are older.

The follower is the only steady reader of the logs. What it has read is in `FeedLog`; Redis is
asked for older positions only, for about as many entries as are wanted, and by two at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from roster import keys
from roster.errors import LogTrimmed, Unavailable
from roster.records.cursor import Cursor
from roster.storage import logs
from service.feed.log import FeedEntry

if TYPE_CHECKING:
    from roster.records.position import Position
    from roster.records.replies import Tail
    from roster.storage.store import Store
    from service.feed.log import FeedLog

T = TypeVar("T")
READS_AT_ONCE = 2
PARTITIONS_A_READ = 16
POLL_EVERY_S = 0.02
"""Whoever asks for what is there *now* shares a poll with all others of such a time."""


class SharedWork:
    """Work that everybody who needs it at one moment shares."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def do(self, what: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, its own or that of the same that is under way.

        Who goes away meanwhile leaves it to the others.
        """
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = asyncio.create_task(_run(work))
            task.add_done_callback(lambda done: self._forget(what, done))
        return cast("T", await asyncio.shield(task))

    def _forget(self, what: Hashable, done: asyncio.Task[Any]) -> None:
        del self._tasks[what]
        if not done.cancelled():
            done.exception()  # seen, also where everybody has gone


class EntryReader:
    """Reads for one process."""

    def __init__(self, store: Store, log: FeedLog, poll: Callable[[], Awaitable[bool]]) -> None:
        """`poll` makes the follower read all logs once, and says whether it could."""
        self._store = store
        self._log = log
        self._poll = poll
        self._shared = SharedWork()
        self._slots = asyncio.Semaphore(READS_AT_ONCE)
        self._polled: asyncio.Task[bool] | None = None
        self._next_poll: asyncio.Task[bool] | None = None
        self._polled_at = float("-inf")

    async def entries(self, places: list[Position], count: int) -> list[FeedEntry]:
        """At most `count` entries behind these places, each partition's in order; none at the end.

        Raises LogTrimmed and Unavailable.
        """
        kept = [self._log.after(place, count) for place in places]
        older = [place for place, each in zip(places, kept, strict=True) if each is None]
        read = [each for each in kept if each]
        if older:
            read += [each for each in await self._older(older, count) if each]
        return list(itertools.islice(heapq.merge(*read, key=_at_ms), count))

    async def is_current(self) -> bool:
        """Whether everything that was in the logs when this was called has been read."""
        if self._next_poll is None:
            self._next_poll = asyncio.create_task(self._poll_next(self._polled))
        return await asyncio.shield(self._next_poll)

    async def now(self) -> Cursor:
        """Where all logs end now."""
        if not await self.is_current() or self._log.ends is None:
            raise Unavailable("the logs cannot be read now")
        return Cursor(self._log.ends)

    async def oldest(self) -> Cursor:
        """Just before the oldest entries that the logs have."""
        return await self._shared.do("oldest", self._read_oldest)

    async def _read_oldest(self) -> Cursor:
        async with self._slots:
            tails = await self._store.tails(dict.fromkeys(range(keys.PARTITIONS)), {})
            ends = [tails[number].position for number in range(keys.PARTITIONS)]
            return Cursor(tuple(await logs.oldest(self._store, ends)))

    async def _poll_next(self, running: asyncio.Task[bool] | None) -> bool:
        """Poll after the one that is under way, which may have passed what is asked for."""
        if running is not None:
            await asyncio.wait([running])
        await asyncio.sleep(max(0.0, self._polled_at + POLL_EVERY_S - time.monotonic()))
        self._polled, self._next_poll = self._next_poll, None
        self._polled_at = time.monotonic()
        return await self._poll()

    async def _older(self, places: list[Position], count: int) -> list[list[FeedEntry]]:
        """What follows in Redis: of those that lack most, or of the first that have anything."""
        lacking = {place: self._log.before(place) for place in places}
        most = 1 << 48  # what is not known may be lost: it has to be looked at
        places.sort(key=lambda place: lacking[place] or most, reverse=True)
        size = min(PARTITIONS_A_READ, count)
        for first in range(0, len(places), size):
            asked = tuple(places[first : first + size])
            limit = -(-count // len(asked))
            tails = await self._shared.do((asked, limit), partial(self._read, asked, limit))
            if any(tails):
                return tails
        return []

    async def _read(self, asked: tuple[Position, ...], limit: int) -> list[list[FeedEntry]]:
        async with self._slots:
            tails = await self._store.tails({p.partition: p for p in asked}, {}, limit)
        if not all(tail.continues for tail in tails.values()):
            raise LogTrimmed((await self.oldest()).text)
        return [_kept(tails[place.partition]) for place in asked]


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _kept(tail: Tail) -> list[FeedEntry]:
    here = tail.position
    return [FeedEntry(here.partition, here.history, data) for data in tail.logged]


def _at_ms(kept: FeedEntry) -> int:
    return kept.at_ms
