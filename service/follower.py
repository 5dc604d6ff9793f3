"""Keeps the screener up to date: start, replay, poll, doorbell (DESIGN.md 7).

A starting process registers, reads the logs' tails, takes the images, replays the logs
from there, and catches up with tails read after it registered; then it is fresh.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from roster import keys
from roster.errors import ClearwayError, Unavailable, WrongKey
from roster.processes import Process, Processes, parse_ring
from service.rebuild import Rebuilder, scan
from service.screener import EVERY, Screener

if TYPE_CHECKING:
    from roster.position import Position
    from roster.replies import Tail
    from roster.store import Store

POLL_S = 1.0
POLL_WHEN_ILL_S = 0.25

Hook = Callable[[], Awaitable[None]]
OnTail = Callable[["Position", "Tail"], None]
log = structlog.get_logger("clearway.follower")


class Follower:
    """One process's place in the logs; `run` never ends by itself.

    `on_tail` is told of every tail that is read, and from which position: the feed's source.
    """

    def __init__(self, store: Store, screener: Screener, identity: tuple[str, str]) -> None:
        """`identity` is the process' id and host."""
        self._store = store
        self._screener = screener
        self.id, self._host = identity
        self._rebuilder = Rebuilder(store, screener)
        self._processes = Processes(store.nodes)
        self._polling = asyncio.Lock()
        self._rung: set[int] = set()
        self._bell = asyncio.Event()
        self._shared: asyncio.Task[bool] | None = None
        self._ill = False
        self._lag_ms = 0.0
        self._listed_at = float("-inf")
        self._news = asyncio.Event()
        self.hooks: list[Hook] = []
        self.on_tail: OnTail = lambda _asked, _tail: None

    async def run(self) -> None:
        """Follow until cancelled: one task listens, one polls."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._ring())
            tasks.create_task(self._poll_for_ever())

    async def poll(self) -> bool:
        """Whether one complete poll has been made and applied; never raises."""
        try:
            async with self._polling:
                await self._poll(EVERY)
        except WrongKey:
            self._screener.wrong_key = True
            return False
        except ClearwayError as exc:
            log.warning("poll failed", error=type(exc).__name__)
            return False
        except Exception as exc:  # noqa: BLE001 -- whoever shares the poll has checks to answer
            log.error("poll failed", error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            return False
        self._ill = False
        return True

    async def shared_poll(self, timeout_s: float) -> bool:
        """Whether a poll that all callers of this moment share came back in time.

        Once one has not, nobody waits for another until a poll has been made: else every
        check of somebody whom the filter clears would cost `timeout_s` while Redis is away.
        """
        if self._ill:
            return False
        shared = self._shared
        if shared is None or shared.done():
            shared = self._shared = asyncio.create_task(self.poll())
        done, _ = await asyncio.wait({shared}, timeout=timeout_s)
        followed = bool(done) and shared.result()
        self._ill = not followed and not self._screener.fresh
        return followed

    def news(self) -> asyncio.Event:
        """An event that is set when the next change has been applied here."""
        return self._news

    async def leave(self) -> None:
        """Nothing; other processes wait for this one no longer."""
        await self._processes.leave(self.id)

    async def _poll_for_ever(self) -> None:
        while True:
            followed = await self.poll()
            if followed:
                await self._run_hooks()
            pause = POLL_S if followed else POLL_WHEN_ILL_S
            await asyncio.sleep(pause * random.uniform(0.75, 1.0))  # noqa: S311 -- jitter

    async def _run_hooks(self) -> None:
        for hook in self.hooks:
            try:
                await hook()
            except ClearwayError as exc:
                log.warning("hook failed", error=type(exc).__name__)

    async def _poll(self, partitions: Iterable[int]) -> None:
        """Read tails, apply them and tell; a complete poll makes the process fresh."""
        screener = self._screener
        if not screener.loaded:
            screener.partitions = await self._rebuilder.made(list(EVERY))
        if not screener.fresh:
            await self._announce()
        tails, as_of = await self._follow(partitions)
        if (time.monotonic() - as_of) * 1000 > screener.fresh_ms:
            tails, as_of = await self._follow(partitions)
        if len(tails) == keys.PARTITIONS:
            screener.wrong_key = False
            screener.polled(as_of, tails.values())

    async def _follow(self, partitions: Iterable[int]) -> tuple[dict[int, Tail], float]:
        """Tails that are applied and told, and since when the process may count as fresh.

        Whoever changes something after the tails were read has to find it listed from then
        on. Where it may have dropped off the list meanwhile, it is not fresh by these tails.
        """
        screener = self._screener
        listed_at, sent_at = self._listed_at, time.monotonic()
        asked = {number: screener.partitions[number].position for number in partitions}
        tails = await self._store.tails(asked, screener.high_water)
        await self._apply(tails)
        await self._announce()
        listed = (time.monotonic() - listed_at) * 1000 <= screener.fresh_ms
        return tails, sent_at if listed else listed_at

    async def _apply(self, tails: dict[int, Tail]) -> None:
        """Bring every partition up to its tail, reading on where the log was longer."""
        while tails:
            again: dict[int, Position | None] = {}
            lost: list[int] = []
            for number, tail in tails.items():
                partition = self._screener.partitions[number]
                self.on_tail(partition.position, tail)
                if tail.acknowledged:
                    self._screener.acknowledge([tail.acknowledged])
                if tail.continues and not partition.outdated_by(tail):
                    partition.take(tail)
                    if partition.position.seq < tail.position.seq:
                        again[number] = partition.position
                elif tail.rewound and not tail.continues:
                    await self._keep(number, tail)
                else:
                    lost.append(number)
            await self._replace(lost)
            if any(tail.logged for tail in tails.values()):
                self._tell()
            tails = await self._store.tails(again, self._screener.high_water) if again else {}

    async def _replace(self, numbers: list[int]) -> None:
        """Make partitions anew; until they have caught up, the old ones go on screening.

        A new one that lagged behind would clear people whom the old one knew.
        """
        if not numbers:
            return
        made = await self._rebuilder.caught_up(numbers)
        for number, partition in zip(numbers, made, strict=True):
            self._screener.partitions[number] = partition

    async def _keep(self, number: int, tail: Tail) -> None:
        """Go on from a rewound log with the filter from before: the only witness of what was lost.

        What the log has got since then, this process has never read.
        """
        partition = self._screener.partitions[number]
        partition.rewound = True
        partition.image = tail.image  # another one than before is no reason to replace the filter
        partition.filter.add_fields(await scan(self._store, number))
        partition.move(tail.position)
        partition.note(tail)

    def _tell(self) -> None:
        """Wake whoever waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def _announce(self) -> None:
        """Be listed, and so waited for, with what has been applied here."""
        screener, sent_at = self._screener, time.monotonic()
        await self._processes.announce(
            Process(
                id=self.id,
                host=self._host,
                fresh_ms=screener.fresh_ms,
                applied=screener.applied,
                fresh_as_of_ms=screener.fresh_as_of_ms,
                lag_ms=self._lag_ms,
                false_hit_rate=screener.false_hit_rate,
            )
        )
        self._listed_at = sent_at

    async def _listen(self) -> None:
        """Hear the doorbell; without it the poll of every second still comes."""
        while True:
            try:
                await self._hear()
            except (ClearwayError, OSError) as exc:
                log.warning("doorbell lost", error=type(exc).__name__)
                await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 -- jitter

    async def _hear(self) -> None:
        async for payload in self._store.nodes.subscribed(keys.DOORBELL):
            positions = parse_ring(payload)
            self._screener.acknowledge(positions)
            self._rung.update([p.partition for p in positions] or EVERY)
            self._bell.set()

    async def _ring(self) -> None:
        """Poll what the doorbell named; what rings meanwhile is polled together next time."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            rung, self._rung = self._rung, set()
            if not self._screener.loaded:
                continue
            started = time.monotonic()
            try:
                async with self._polling:
                    await self._poll(sorted(rung))
                self._lag_ms = (time.monotonic() - started) * 1000
            except (Unavailable, WrongKey) as exc:
                log.warning("rung poll failed", error=type(exc).__name__)
