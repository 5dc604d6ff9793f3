"""The partitions of one server, followed by themselves: another's silence does not delay them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog

from roster.errors import ClearwayError, WrongKey
from roster.times import boot_s
from service.following.catching_up import CatchUp
from service.logs.causes import why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.storage.store import Store
    from service.following.announcing import Announcer
    from service.following.catching_up import OnTail
    from service.following.roster_watch import RosterWatch
    from service.following.screener import Screener

POLL_S = 1.0
POLL_WHEN_ILL_S = 0.25
POLLS_WHILE_FRESH = 3
"""So often at least news comes within the time for which it is fresh."""

log = structlog.get_logger("clearway.share")


class Listener(NamedTuple):
    """Who reads the logs along with the filters.

    `on_tail` is told of every tail that is applied, and from which position it goes on; `eager`
    says whether somebody wants it at once, whatever it costs.
    """

    on_tail: OnTail = lambda _asked, _tail: None
    eager: Callable[[], bool] = lambda: False


class ShareContext(NamedTuple):
    """What all shares of one process follow with.

    `on_poll` is told of every poll: of which partitions, and whether they are fresh by it.
    """

    store: Store
    screener: Screener
    announcer: Announcer
    roster_watch: RosterWatch
    listener: Listener
    on_poll: Callable[[Sequence[int], bool], None]


class Share:
    """One server's partitions as one process follows them.

    `numbers` says which they are now. `wrong_key` is what the last poll said; it has left this
    process `behind` where there was more than one poll reads.
    """

    def __init__(self, means: ShareContext, numbers: Callable[[], Sequence[int]]) -> None:
        """Nothing is read yet."""
        self._means = means
        self._numbers = numbers
        self._catch_up = CatchUp(means.store, means.screener, means.listener.on_tail)
        self._polling = asyncio.Lock()
        self._rung: set[int] = set()
        self._wanted = False
        self._bell = asyncio.Event()
        self.behind = False
        self._polled_s = float("-inf")
        self.wrong_key = False

    async def run(self) -> None:
        """Follow until the server has no partitions any more."""
        ringing = asyncio.create_task(self._answer_the_bell())
        try:
            while numbers := self._numbers():
                followed = await self.poll(numbers)
                await asyncio.sleep(self._pause_s(followed=followed))
        finally:
            ringing.cancel()
            await asyncio.wait([ringing])

    async def poll(self, numbers: Sequence[int]) -> bool:
        """Whether these partitions are fresh by a poll that is applied; never raises."""
        followed = await self._try(numbers)
        self._means.on_poll(numbers, followed)
        return followed

    async def _try(self, numbers: Sequence[int]) -> bool:
        self.behind = False
        try:
            async with self._polling:
                followed = await self._poll(numbers)
        except WrongKey:
            self.wrong_key = True
            return False
        except ClearwayError as exc:
            log.warning("poll failed", **why(exc))
            return False
        except Exception as exc:  # noqa: BLE001 -- whoever shares the poll has checks to answer
            log.error("poll failed", error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            return False
        self.wrong_key = False
        return followed

    def ring(self, numbers: set[int], *, wanted: bool) -> None:
        """Poll these partitions soon, and tell of them where that is wanted."""
        self._rung |= numbers
        self._wanted = self._wanted or wanted
        self._bell.set()

    def _pause_s(self, *, followed: bool) -> float:
        """Until the next poll; none while there is more to read than one poll does."""
        if self.behind:
            return 0.0
        fresh_s = self._means.screener.news.fresh_ms / 1000
        pause = min(POLL_S, fresh_s / POLLS_WHILE_FRESH) if followed else POLL_WHEN_ILL_S
        return pause * random.uniform(0.75, 1.0)  # noqa: S311 -- jitter

    async def _poll(self, numbers: Sequence[int]) -> bool:
        await self._means.roster_watch.begin(numbers)
        await self._catch_up.begin(numbers)
        sent_s = boot_s()
        followed = await self._follow(numbers)
        fresh_ms = self._means.screener.news.fresh_ms
        if followed and (boot_s() - sent_s) * 1000 > fresh_ms > 0:  # it took too long to be news
            followed = await self._follow(numbers)
        return followed

    async def _follow(self, numbers: Sequence[int]) -> bool:
        """Read tails from a server that lists this process before, and apply them.

        Whoever changes something there after the tails were read finds it listed, for as
        long as it can be fresh by them; so does who takes over, if enough replicas have it.
        """
        means = self._means
        sent_s = self._polled_s = boot_s()
        if not self._wanted:
            self._rung.clear()  # whatever has rung is read now
        polled = await self._catch_up.poll(numbers, means.announcer.listing(numbers))
        if await means.roster_watch.look(polled.tails):  # with what is remembered of that one
            polled = await self._catch_up.poll(numbers, means.announcer.listing(numbers))
        reached = await self._catch_up.apply(polled.tails)
        means.announcer.processes = max(1, polled.processes)
        tails = [tail for number, tail in polled.tails.items() if number in reached]
        means.screener.polled(tails, sent_s, listed=polled.listed)
        self.behind = len(reached) < len(polled.tails)
        if any(tail.logged for tail in polled.tails.values()):
            await means.announcer.announce(numbers)
        return polled.listed and not self.behind

    async def _answer_the_bell(self) -> None:
        """Poll what the doorbell named; what rings meanwhile is polled together next time."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await self._take_turn()
            rung, self._rung = self._rung, set()
            wanted, self._wanted = self._wanted, False
            numbers = sorted(rung.intersection(self._numbers()))
            if not numbers or not self._means.screener.loaded:
                continue
            try:
                done = await self._poll_rung(numbers, wanted=wanted)
            except ClearwayError as exc:
                log.warning("rung poll failed", **why(exc))
            except Exception as exc:  # noqa: BLE001 -- nobody would answer the bell any more
                log.error("rung poll failed", error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            else:
                if not done:
                    self.ring(rung, wanted=wanted)
                continue
            self.ring(rung, wanted=wanted)
            await asyncio.sleep(POLL_WHEN_ILL_S)

    async def _take_turn(self) -> None:
        """Wait until it is this process' turn to ask: the more there are, the less often.

        The bell has told who is listed now; the rest comes with the next poll. Whoever waits
        for an answer need not wait for that.
        """
        until_s = self._polled_s + self._means.announcer.turn_s
        while (
            not self._wanted
            and not self._means.listener.eager()
            and (left_s := until_s - boot_s()) > 0
        ):
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._bell.wait()
            self._bell.clear()

    async def _poll_rung(self, numbers: Sequence[int], *, wanted: bool) -> bool:
        """Whether everything that has rung is applied; told of where somebody waits for it."""
        means = self._means
        started_s = self._polled_s = boot_s()
        async with self._polling:
            tails = await self._catch_up.tails(numbers)
            reached = await self._catch_up.apply(tails)
            if wanted:
                await means.announcer.announce(numbers)
        means.announcer.lag_ms = (boot_s() - started_s) * 1000
        return len(reached) == len(tails)
