"""Keeps the screener up to date: start, replay, poll, doorbell.

Why it is so: docs/architecture.md, Freshness. Each server's partitions are followed by
themselves. A starting process takes the images, replays the logs from there, and catches up
with tails read after it was listed; then it is fresh.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from roster import keys
from roster.errors import ClearwayError
from roster.redis.shares import by_server
from roster.storage.doorbell import DoorbellMessage, parse, parse_old
from service.following.roster_watch import RosterWatch
from service.following.screener import EVERY, Screener
from service.following.share import Listener, Share, ShareContext
from service.logs.causes import why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.redis.nodes import Server
    from roster.storage.processes import Processes
    from roster.storage.store import Store
    from service.following.announcing import Announcer
    from service.following.memory import Memory

SERVERS_EVERY_S = 0.25
END_AGAIN_S = 0.1

log = structlog.get_logger("clearway.follower")


class Follower:
    """One process's place in the logs; `run` never ends by itself."""

    def __init__(
        self,
        store: Store,
        screener: Screener,
        announcer: Announcer,
        memory: Memory | None = None,
        listener: Listener = Listener(),  # noqa: B008 -- it never changes
    ) -> None:
        """Reads from `store` for `screener`; `memory` is what the data folder has."""
        self._nodes = store.nodes
        self._screener = screener
        self._announcer = announcer
        self.roster_watch = RosterWatch(store, screener, memory, self._listen_anew)
        self._renamed = asyncio.Event()
        self._means = ShareContext(
            store, screener, announcer, self.roster_watch, listener, self._on_poll
        )
        self._shares: dict[Server, Share] = {}
        self._running: set[Server] = set()
        self._tried: set[int] = set()
        self._shared: asyncio.Task[bool] | None = None
        self._ill: set[int] = set()

    @property
    def behind(self) -> bool:
        """Whether there is more in the logs of a server than one poll reads."""
        return any(share.behind for share in self._shares.values())

    async def run(self) -> None:
        """Follow until cancelled: one task listens, and one polls each server."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            while True:
                for server in await self._split():
                    if server not in self._running:
                        self._running.add(server)
                        tasks.create_task(self._run(server))
                await asyncio.sleep(SERVERS_EVERY_S)

    async def poll(self) -> bool:
        """Whether a complete poll has been made and applied; never raises."""
        parts = await self._split()
        polls = [self._share(server).poll(numbers) for server, numbers in parts.items()]
        return all(await asyncio.gather(*polls))

    async def shared_poll(self, timeout_s: float, numbers: Sequence[int] = EVERY) -> bool:
        """Whether a poll that all callers of this moment share came back in time.

        Once it has not made these partitions fresh, nobody waits for another until one has:
        else every check of somebody whom the filter clears would cost `timeout_s` while
        Redis is away.
        """
        wanted = [number for number in numbers if not self._screener.is_fresh(number)]
        if wanted and self._ill.issuperset(wanted):
            return False
        shared = self._shared
        if shared is None or shared.done():
            shared = self._shared = asyncio.create_task(self.poll())
        done, _ = await asyncio.wait({shared}, timeout=timeout_s)
        followed = bool(done) and shared.result()
        if not followed:
            self._ill.update(number for number in wanted if not self._screener.is_fresh(number))
        return followed

    async def leave(self) -> None:
        """Let other processes wait for this one no longer."""
        await self._announcer.leave()

    async def watch_roster(self, processes: Processes) -> None:
        """See whether anybody would notice if the roster had gone back; raises Unavailable."""
        await self.roster_watch.watch(processes, self._announcer.id)

    async def _split(self) -> dict[Server, list[int]]:
        """The partitions by server; what is not known yet is looked for."""
        parts = by_server(self._nodes, EVERY)
        if self._nodes.routed and None in parts:
            with suppress(ClearwayError):
                await self._nodes.masters()
            parts = by_server(self._nodes, EVERY)
        return parts

    async def _run(self, server: Server) -> None:
        """Follow one server for as long as it has partitions."""
        try:
            await self._share(server).run()
        finally:
            self._running.discard(server)
            self._shares.pop(server, None)

    def _share(self, server: Server) -> Share:
        if server not in self._shares:
            numbers = partial(self._numbers, server)
            self._shares[server] = Share(self._means, numbers)
        return self._shares[server]

    def _numbers(self, server: Server) -> list[int]:
        return by_server(self._nodes, EVERY).get(server, [])

    def _on_poll(self, numbers: Sequence[int], followed: bool) -> None:  # noqa: FBT001 -- as polls tell it
        """Note what a poll has changed for checks.

        They begin when every server was tried, and one has given all its filters: what
        another has is asked about then, for as long as it is silent.
        """
        screener = self._screener
        self._tried.update(numbers)
        whole = all(screener.partitions[number].known for number in numbers)
        screener.loaded = screener.loaded or (whole and len(self._tried) == keys.PARTITIONS)
        screener.wrong_key = any(share.wrong_key for share in self._shares.values())
        if followed:
            self._ill.difference_update(numbers)

    async def _listen(self) -> None:
        """Hear the doorbell; without it the poll of every second still comes."""
        while True:
            self._renamed.clear()
            hearing = asyncio.create_task(self._hear())
            renamed = asyncio.create_task(self._renamed.wait())
            try:
                await asyncio.wait({hearing, renamed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(hearing, renamed)
            error = None if hearing.cancelled() else hearing.exception()
            if isinstance(error, (ClearwayError, OSError)):
                log.warning("doorbell lost", **why(error))
                await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 -- jitter
            elif error is not None:
                raise error

    def _listen_anew(self) -> None:
        """The roster has another name, and so another channel."""
        self._renamed.set()

    async def _hear(self) -> None:
        """Hear the roster's own channel, and older versions on the one of all rosters.

        What those say is safe may be another roster's, and this version rings on both.
        """
        own = keys.doorbell(self._screener.roster)
        async for channel, payload in self._nodes.subscribed(own, keys.DOORBELL):
            if channel == own:
                rung = parse(payload)
                self._screener.acknowledge(rung.positions)
                self._screener.join(rung.joining)
                self._rung_by(rung)
            elif old := parse_old(payload):
                self._rung_by(old)
            elif not self._screener.roster:
                self._rung_by(DoorbellMessage(()))

    def _rung_by(self, rung: DoorbellMessage) -> None:
        numbers = {position.partition for position in rung.positions} or EVERY
        for server, own in by_server(self._nodes, numbers).items():
            if server in self._shares:
                self._shares[server].ring(set(own), wanted=rung.wanted)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel these until they have ended: a client may swallow that while it connects."""
    for task in tasks:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=END_AGAIN_S)
        if not task.cancelled():
            task.exception()  # else asyncio complains of what nobody has looked at
