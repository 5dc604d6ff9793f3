"""The open polls of one process: how many there may be, and how long each stays.

A poll that finds nothing waits for news. It ends when there is some, when its time is up, or
when its client has gone.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from roster import keys
from roster.errors import TooMany, Unavailable
from service.feed.pages import Pages, View
from service.feed.reader import EntryReader
from service.feed.writing import FeedPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping

    from litestar.types import Receive

    from roster.records.position import HighWater
    from roster.storage.store import Store
    from service.feed.log import FeedLog
    from service.feed.pages import Writer

POLLS_A_KEY, POLLS_MAX = 400, 1_000
RETRY_AFTER_MS = 2_000
READ_TIMEOUT_S = 2.0
OWN_TIMEOUT_S = 0.1
"""How long what this process has made safe itself may take to be read."""
POLLED_MS = 2_000
"""Whoever has waited so long has seen the follower read all logs since."""
NEWS_MAX_MS = 4_000
"""Whoever has read the logs within this time may say that there is nothing new in them."""

T = TypeVar("T")


class FeedPoll(msgspec.Struct, frozen=True):
    """What a poll asks for: what follows `after`, or the oldest kept, and how long it waits."""

    after: str | None
    view: View
    wait_ms: int


class Feed:
    """Answers the polls of one process."""

    def __init__(
        self,
        store: Store,
        log: FeedLog,
        poll: Callable[[], Awaitable[bool]],
        writer: Writer,
        high_water: Mapping[int, HighWater],
    ) -> None:
        """`poll` makes the follower read all logs once, for `log`, and says whether it could.

        `high_water` are positions that this process knows to be safe.
        """
        self.log = log
        self.turns = log.turns
        self.reader = EntryReader(store, log, poll)
        self.pages = Pages(store, log, self.reader, writer)
        self._high_water = high_water
        self._open = log.polls
        self._ended = False

    @property
    def open(self) -> int:
        """How many polls there are now."""
        return self._open.total()

    @property
    def readers(self) -> int:
        """How many API keys have polls open."""
        return len(self._open)

    @contextmanager
    def opened(self, key_id: str) -> Iterator[None]:
        """One more poll of this key meanwhile; raises TooMany."""
        if self.open >= POLLS_MAX:
            raise TooMany(_retry_ms(), f"there are {POLLS_MAX} polls of the feed here already")
        if self._open[key_id] >= POLLS_A_KEY:
            raise TooMany(_retry_ms(), f"this key has {POLLS_A_KEY} polls open here already")
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]

    def end(self) -> None:
        """Let no poll wait any longer: this process ends."""
        self._ended = True
        self.turns.end()

    def knows(self, text: str) -> bool:
        """Whether a position was given by this process for a place that is still at hand."""
        return self.log.line is not None and self.log.line.find(text) is not None

    async def now(self) -> FeedPage:
        """A page without changes that ends where the logs end now."""
        cursor = await _in_time(self.reader.now())
        if self.log.line is not None:
            self.log.line.meet(cursor)
        return FeedPage(b'{"changes":[],"position":"%s"}' % cursor.text.encode(), 0)

    async def poll(self, ask: FeedPoll) -> FeedPage:
        """The next page, once there is anything in it or the time is up.

        Raises PositionError, LogTrimmed, Unavailable and WrongKey.
        """
        until = time.monotonic() + ask.wait_ms / 1000
        known = (self._high_water.get(p) for p in range(keys.PARTITIONS))
        marks = [mark.position for mark in known if mark is not None]
        if not self.log.has_passed(marks):
            await self.log.pass_by(marks, OWN_TIMEOUT_S)
        after = ask.after
        if after is None:
            after = (await _in_time(self.reader.oldest())).text
        version = self.log.version
        if not ask.wait_ms or not self.pages.has_none(after):
            page = await self._next(after, ask)
            if page.changes or not ask.wait_ms:
                return page
        while await self._news(version, until):
            version = self.log.version
            page = await self.pages.page(after, ask.view)
            if page.changes:
                return page
        return await self._nothing(after, ask)

    async def _next(self, after: str, ask: FeedPoll) -> FeedPage:
        """What is there; who does not wait is told all that there is at this moment."""
        await self.turns.take()
        page = await self.pages.page(after, ask.view)
        if ask.wait_ms or page.changes == ask.view.limit:
            return page
        return await self._last(after, ask.view)

    async def _nothing(self, after: str, ask: FeedPoll) -> FeedPage:
        """The page of somebody who has waited in vain; one that is late after all, too."""
        await self.turns.take()
        page = await self.pages.page(after, ask.view)
        if not page.changes and ask.wait_ms < POLLED_MS:
            return await self._last(after, ask.view)
        if not page.changes and self.log.age_ms > NEWS_MAX_MS:
            raise Unavailable("the logs have not been read for some seconds")
        return page

    async def _last(self, after: str, view: View) -> FeedPage:
        """All that there is at this moment: an empty page is the end."""
        current = False
        with suppress(Unavailable):
            current = await _in_time(self.reader.is_current())
        page = await self.pages.page(after, view)
        if not page.changes and not current:
            raise Unavailable("the logs cannot be read now")
        return page

    async def _news(self, version: int, until: float) -> bool:
        """Whether it is the caller's turn to look at what is new; False when the time is up."""
        if self._ended:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(until - time.monotonic()):
                if self.log.version != version:
                    await self.turns.take()
                else:
                    await self.turns.news()
                return not self._ended
        return False


async def until_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T | None:
    """What `work` gives, or None where the client has gone before: then it is cancelled."""
    working, gone = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _in_time(work: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await work
    except TimeoutError:
        raise Unavailable("the logs could not be read in time") from None


def _retry_ms() -> int:
    """When to come back: not all at once."""
    return round(RETRY_AFTER_MS * random.uniform(0.5, 1.5))  # noqa: S311 -- jitter
