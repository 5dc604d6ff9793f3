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
from service.catching_up import CatchUp, OnTail
from service.screener import EVERY, Screener

if TYPE_CHECKING:
    from roster.position import Position
    from roster.replies import Tail
    from roster.store import Store

POLL_S = 1.0
POLL_WHEN_ILL_S = 0.25

Hook = Callable[[], Awaitable[None]]
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
        self._catch_up = CatchUp(store, screener, self._on_tail)
        self._behind = False
        self._processes = Processes(store.nodes)
        self._polling = asyncio.Lock()
        self._rung: set[int] = set()
        self._bell = asyncio.Event()
        self._shared: asyncio.Task[bool] | None = None
        self._ill = False
        self._lag_ms = 0.0
        self._listed_at = float("-inf")
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
        self._behind = False
        try:
            async with self._polling:
                self._behind = not await self._poll(EVERY)
        except WrongKey:
            self._screener.wrong_key = True
            return False
        except ClearwayError as exc:
            log.warning("poll failed", error=type(exc).__name__)
            return False
        except Exception as exc:  # noqa: BLE001 -- whoever shares the poll has checks to answer
            log.error("poll failed", error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            return False
        self._ill = self._ill and self._behind
        return not self._behind

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

    async def leave(self) -> None:
        """Nothing; other processes wait for this one no longer."""
        await self._processes.leave(self.id)

    async def _poll_for_ever(self) -> None:
        while True:
            followed = await self.poll()
            if followed:
                await self._run_hooks()
            pause = POLL_S if followed else POLL_WHEN_ILL_S * (not self._behind)
            await asyncio.sleep(pause * random.uniform(0.75, 1.0))  # noqa: S311 -- jitter

    async def _run_hooks(self) -> None:
        for hook in self.hooks:
            try:
                await hook()
            except ClearwayError as exc:
                log.warning("hook failed", error=type(exc).__name__)

    async def _poll(self, partitions: Iterable[int]) -> bool:
        """Whether these partitions have all that their tails tell; of all, the process is fresh."""
        screener = self._screener
        if not screener.loaded:
            await self._catch_up.begin()
        if not screener.fresh:
            await self._announce()
        tails, as_of = await self._follow(partitions)
        if tails and (time.monotonic() - as_of) * 1000 > screener.fresh_ms:
            tails, as_of = await self._follow(partitions)
        if len(tails) == keys.PARTITIONS:
            screener.wrong_key = False
            screener.polled(as_of, tails.values())
        return bool(tails)

    async def _follow(self, partitions: Iterable[int]) -> tuple[dict[int, Tail], float]:
        """Tails that are applied and told, and since when the process may count as fresh.

        No tails where there was more than one poll reads. Whoever changes something after the
        tails were read has to find it listed from then on. Where it may have dropped off the
        list meanwhile, it is not fresh by these tails.
        """
        screener = self._screener
        listed_at, sent_at = self._listed_at, time.monotonic()
        tails = await self._catch_up.tails(list(partitions))
        reached = await self._catch_up.apply(tails)
        await self._announce()
        listed = (time.monotonic() - listed_at) * 1000 <= screener.fresh_ms
        told = tails if len(reached) == len(tails) else {}
        return told, sent_at if listed else listed_at

    def _on_tail(self, asked: Position, tail: Tail) -> None:
        self.on_tail(asked, tail)

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

    def _ring_again(self, rung: set[int]) -> None:
        self._rung |= rung
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
                    if not await self._poll(sorted(rung)):
                        self._ring_again(rung)
                self._lag_ms = (time.monotonic() - started) * 1000
            except (Unavailable, WrongKey) as exc:
                log.warning("rung poll failed", error=type(exc).__name__)
