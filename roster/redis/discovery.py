"""Where a roster's servers are: asked of Sentinel or of a cluster's nodes, beside all other work.

Each of those who know is asked by a task of its own, so that a silent one costs nothing: the
first good answer serves, and a newer one replaces it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from roster.errors import ClearwayError, Unavailable, cause_of
from roster.redis.connection import ask_client, sentinel_client, translated
from roster.redis.sentinels import SentinelView, ask_sentinel, choose, is_primary
from roster.redis.slots import NodeView, SlotMap, ask_node, merged, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis.asyncio

    from roster.redis.slots import Address
    from roster.redis.target import Target

T = TypeVar("T", SentinelView, NodeView)

EVERY_S = 1.0
TROUBLED_EVERY_S = 0.1
TROUBLE_S = 3.0
"""How long after a failure everybody is asked more often."""
LEAST_PAUSE_S = 0.05
FORGET_S = 3.0
"""A view that was not renewed for this long counts no more: its server is silent."""


class Discovery:
    """The newest known map of a roster's servers; one for all the clients of a process.

    It asks while it is watched, in the event loop of those who watch.
    """

    def __init__(self, target: Target) -> None:
        """Of the Sentinel or the cluster at `target`; nothing is asked yet."""
        self.target = target
        self._by_sentinel = target.kind == "sentinel"
        self.map: SlotMap | None = None
        self.failures: dict[Address, str] = {}
        self._known: SentinelView | None = None
        self._heard: dict[Address, tuple[float, SentinelView | NodeView]] = {}
        self._watchers: set[Callable[[], None]] = set()
        self._tasks: dict[Address, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._troubled_until = 0.0
        self._turn = asyncio.Event()
        self._wake = asyncio.Event()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` after each change of the map, until `unwatch`."""
        if not self._watchers:
            self.failures.clear()
            self._turn, self._wake = asyncio.Event(), asyncio.Event()
        self._watchers.add(changed)
        self._ask_all()

    async def unwatch(self, changed: Callable[[], None]) -> None:
        """Stop calling it; with the last watcher the asking ends."""
        self._watchers.discard(changed)
        if self._watchers:
            return
        tasks, self._tasks = [*self._tasks.values(), *self._ending], {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def found(self, timeout_s: float) -> SlotMap:
        """The map, waited for while there is none; raises Unavailable, with who said what.

        It does not wait where all have been asked in vain.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self.map is None and not self.failures.keys() >= self._tasks.keys():
                    await self._turn.wait()
        except TimeoutError:
            pass
        if self.map is None:
            raise Unavailable("Redis cannot be found", self._why())
        return self.map

    def nudge(self) -> None:
        """Ask everybody at once, and often for a while: something has failed."""
        self._troubled_until = time.monotonic() + TROUBLE_S
        self._wake.set()

    def _why(self) -> str:
        silent = dict.fromkeys(self._tasks, "no answer yet")
        reasons = {**silent, **self.failures}
        return "; ".join(f"{host}:{port}: {why}" for (host, port), why in sorted(reasons.items()))

    def _members(self) -> set[Address]:
        """Those who can be asked: the URL's, and whom they have named."""
        members = set(self.target.addresses)
        for _, said in self._heard.values():
            members |= (
                said.others if isinstance(said, SentinelView) else set(said.addresses.values())
            )
        return members | (set(self.map.servers) if self.map and not self._known else set())

    def _ask_all(self) -> None:
        """Ask every member by a task of its own, others no longer."""
        members = self._members()
        for address in members - self._tasks.keys():
            self._tasks[address] = asyncio.create_task(self._ask_for_ever(address))
        for address in self._tasks.keys() - members:
            self._end(self._tasks.pop(address))
            self._heard.pop(address, None)
            self.failures.pop(address, None)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()

    async def _ask_for_ever(self, address: Address) -> None:
        client = (sentinel_client if self._by_sentinel else ask_client)(self.target, address)
        try:
            while True:
                await self._ask_once(address, client)
                turn, self._turn = self._turn, asyncio.Event()
                turn.set()
                await self._pause()
        finally:
            await client.aclose()

    async def _ask_once(self, address: Address, client: redis.asyncio.Redis) -> None:
        try:
            with translated():
                await self._ask(address, client)
        except ClearwayError as exc:
            self.failures[address] = cause_of(exc)
        except Exception as exc:  # noqa: BLE001 -- an answer that cannot be read is none
            self.failures[address] = f"an answer that cannot be read: {type(exc).__name__}"
        else:
            self.failures.pop(address, None)

    async def _pause(self) -> None:
        await asyncio.sleep(LEAST_PAUSE_S)
        troubled = time.monotonic() < self._troubled_until
        try:
            async with asyncio.timeout(TROUBLED_EVERY_S if troubled else EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake = asyncio.Event()

    async def _ask(self, address: Address, client: redis.asyncio.Redis) -> None:
        said: SentinelView | NodeView
        if self._by_sentinel:
            said = await ask_sentinel(client, self.target.service)
            if said.troubled:
                self._troubled_until = time.monotonic() + TROUBLE_S
        else:
            said = await ask_node(client, address)
        self._heard[address] = (time.monotonic(), said)
        if isinstance(said, SentinelView):
            await self._believe()
        else:
            self._adopt(merged(self._fresh(NodeView), self.map))
        self._ask_all()

    def _fresh(self, kind: type[T]) -> list[T]:
        since = time.monotonic() - FORGET_S
        return [said for at, said in self._heard.values() if at >= since and isinstance(said, kind)]

    def _chosen(self) -> SentinelView | None:
        return choose(self._fresh(SentinelView), self._known, len(self._tasks))

    async def _believe(self) -> None:
        """Take the primary that the sentinels name, once it says itself that it is one."""
        word = self._chosen()
        if word is None or word == self._known:
            return
        if self._known is None or word.primary != self._known.primary:
            await self._confirm(word.primary)
            if self._chosen() != word:  # the sentinels have changed their minds meanwhile
                return
        self._known = word
        self._adopt(whole(word.primary))

    async def _confirm(self, primary: Address) -> None:
        """Raise Unavailable, which names it, where the server is no primary."""
        server = ask_client(self.target, primary)
        name = f"{primary[0]}:{primary[1]}, the primary that it names,"
        try:
            with translated():
                confirmed = await is_primary(server)
        except ClearwayError as exc:
            why = cause_of(exc)
            raise Unavailable("the primary cannot be reached", f"{name} {why}") from exc
        finally:
            await server.aclose()
        if not confirmed:
            raise Unavailable("the primary is none", f"{name} says that it is none")

    def _adopt(self, found: SlotMap | None) -> None:
        if found is None or found.same(self.map):
            return
        self.map = found
        for changed in tuple(self._watchers):
            changed()
