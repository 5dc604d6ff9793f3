"""What a process does beside answering: reads keys and disabled lists, writes counts, looks on.

Each chore runs by itself, so that none waits for another's silence.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from roster.errors import ClearwayError, Unavailable, cause_of
from roster.redis.requirements import ServerFacts, unfit
from service.background.metrics import RemovalLags

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roster.opening import Opening
    from roster.storage.counters import CounterStore
    from roster.storage.disabled import DisabledLists
    from service.parts import Service

KEYS_EVERY_S = 0.4
"""A revoked key has to stop within a second."""
COUNTS_EVERY_S = 0.9
LISTS_EVERY_S = 0.9
PROCESSES_EVERY_S = 0.4
"""More than once in the shortest time for which a process may be fresh."""
FACTS_EVERY_S = 5.0
EMBEDDED_EVERY_S = 0.5
SETTINGS_EVERY_S = 5.0
SILENT_MS = 1_500

Chore = tuple[str, float, "Callable[[], Awaitable[None]]"]

log = structlog.get_logger("clearway.upkeep")


class Upkeep(msgspec.Struct):
    """The chores of one process, and what they work on."""

    service: Service
    opening: Opening
    tallies: CounterStore
    disabled: DisabledLists
    lags: RemovalLags = msgspec.field(default_factory=RemovalLags)
    draining: bool = False
    facts_known: bool = False
    more: tuple[Chore, ...] = ()
    leaving: tuple[Callable[[], Awaitable[None]], ...] = ()

    def chores(self) -> list[Chore]:
        """What to do, and how often."""
        return [
            ("keys", KEYS_EVERY_S, self.read_keys),
            ("counts", COUNTS_EVERY_S, self.write_counts),
            ("lists", LISTS_EVERY_S, self.read_disabled),
            ("processes", PROCESSES_EVERY_S, self.service.processes.watch),
            ("facts", FACTS_EVERY_S, self.look_at_servers),
            ("embedded", EMBEDDED_EVERY_S, self.revive),
            ("settings", SETTINGS_EVERY_S, self.put_right),
            *self.more,
        ]

    async def read_keys(self) -> None:
        """Nothing; this process knows the keys that Redis has now. Raises Unavailable.

        Where only their server is lost, those that are known go on: nobody can revoke one.
        """
        try:
            await self.service.access.refresh()
        except Unavailable:
            nodes, news = self.service.changes_store.nodes, self.service.screener.news
            if nodes.clustered and not news.all_stale:
                self.service.access.prolong()
            raise

    async def write_counts(self) -> None:
        """Nothing; what was counted here is in Redis. Raises Unavailable, and keeps it."""
        counters = self.service.counters
        for (mode, decision), count in counters.take_unwritten().items():
            self.tallies.count(mode, decision, count)
        now_ms = time.time_ns() // 1_000_000
        for (leg, lag_ms), count in counters.take_lags().items():
            self.tallies.lagged(leg, lag_ms, now_ms, count)
            self.lags.add(leg, lag_ms, count)
        await self.tallies.flush(now_ms)

    async def read_disabled(self) -> None:
        """Nothing; checks know which lists are disabled. Raises Unavailable."""
        found, ended = await self.disabled.all(), self.service.access.ended
        enabled = await self.disabled.enabled() if ended.missing(found) else {}
        names = ended.off(found, enabled)
        rules = [self.service.lists.by_id(name) for name in names]
        self.service.desk.disabled = frozenset(rule.code for rule in rules if rule is not None)
        self.service.screener.lists_known = True

    async def look_at_servers(self) -> None:
        """Nothing; what makes a change safe, and what is degraded, follow the servers.

        Raises Unavailable, and ServerUnfit where one is too old.
        """
        facts = await self.opening.facts(self.service.changes_store.nodes)
        self.service.wait = self.opening.wait(facts)
        self.service.degraded = degraded(self.opening, facts)
        self.facts_known = True

    async def revive(self) -> None:
        """Nothing; a crashed embedded server runs again. Raises EmbeddedError."""
        embedded = self.opening.embedded
        if embedded is not None and self.service.screener.news.silence_ms > SILENT_MS:
            await asyncio.to_thread(embedded.ensure, renew=True)

    async def put_right(self) -> None:
        """Nothing; an embedded server is set as before a load that was killed, its log is short.

        Raises EmbeddedError.
        """
        if self.opening.embedded is not None:
            await asyncio.to_thread(self.opening.embedded.put_right)
            await asyncio.to_thread(self.opening.embedded.rewrite_if_quiet)


def degraded(opening: Opening, facts: list[ServerFacts]) -> list[str]:
    """What of these servers is not as it should be, each name once."""
    replicated, counted = opening.target.replicated, opening.settings.replicas
    names = [name for each in facts for name in unfit(each, replicated=replicated)]
    if replicated and any(each.replicas > counted for each in facts):
        names.append("durability")  # a replica that is not waited for may be promoted
    if any(each.replicas < counted for each in facts):
        names.append("replicas")
    return list(dict.fromkeys(names))


async def repeat(chore: Chore) -> None:
    """Never returns: does the chore again and again, whatever becomes of it."""
    name, every_s, do = chore
    while True:
        try:
            await do()
        except ClearwayError as exc:
            log.warning("chore failed", chore=name, error=type(exc).__name__, cause=cause_of(exc))
        except Exception as exc:  # noqa: BLE001 -- a chore that ends is missed for ever
            log.error("chore failed", chore=name, error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
        await asyncio.sleep(every_s)


async def stay(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Never returns: starts what must never end again when it ends."""
    while True:
        try:
            await run()
        except Exception as exc:  # noqa: BLE001 -- a process that does not follow only refers
            log.error("has to start again", what=name, error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
        await asyncio.sleep(1)
