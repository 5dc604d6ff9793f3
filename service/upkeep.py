"""What a process does beside answering: reads keys and disabled lists, writes counts, looks on.

Each chore runs by itself, so that none waits for another's silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from roster.errors import ClearwayError, Unavailable, cause_of
from roster.redis.logins import NOT_ALLOWED
from roster.redis.requirements import ServerFacts, unfit
from roster.times import now_ms
from service.audit.ledger import EVERY_S as LEDGER_EVERY_S
from service.audit.recorder import EVERY_S as AUDIT_EVERY_S
from service.background.canary import EVERY_S as CANARY_EVERY_S
from service.background.key_uses import EVERY_S as USES_EVERY_S
from service.background.losses import EVERY_S as LOSSES_EVERY_S
from service.background.renewal import EVERY_S as RENEWAL_EVERY_S
from service.background.trend import EVERY_S as TREND_EVERY_S
from service.changing.propagation import NOTE_EVERY_S
from service.following.memory import EVERY_S as MEMORY_EVERY_S
from service.following.roster_watch import EVERY_S as ROSTER_WATCH_EVERY_S
from service.following.screener import EVERY
from service.logs.causes import why

if TYPE_CHECKING:
    from roster.opening import Opening
    from roster.storage.counters import CounterStore
    from roster.storage.dictionary import Load
    from roster.storage.disabled import DisabledLists
    from service.background.key_uses import KeyUses
    from service.background.live import Live
    from service.background.loaded import Loaded
    from service.background.losses import LossKeeper
    from service.background.renewal import Renewer
    from service.background.trend import Trend
    from service.following.memory import Memory
    from service.metrics.families import Family
    from service.parts import Service

KEYS_EVERY_S = 0.4
"""A revoked key has to stop within a second."""
COUNTS_EVERY_S = 0.9
LISTS_EVERY_S = 0.9
PROCESSES_EVERY_S = 0.4
"""More than once in the shortest time for which a process may be fresh."""
FACTS_EVERY_S = 5.0
LOADS_EVERY_S, LOADS = 5.0, 8
"""So many of the newest are looked at: nobody begins more in that time."""
EMBEDDED_EVERY_S = 0.5
SETTINGS_EVERY_S = 5.0
SILENT_MS = 1_500
REFUSED_S = 300.0
"""After so long it is tried again what another process may do, and this one's user may not."""

log = structlog.get_logger("clearway.upkeep")


class Chore(NamedTuple):
    """What is done again and again, how often, and how often where Redis forbids it its user."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[None]]
    refused_s: float = 0.0


async def alone(own: list[Family]) -> list[Family]:
    """What one process has counted beside which there is no other."""
    return own


class Upkeep(msgspec.Struct):
    """The chores of one process, and what they work on.

    `facts` are what Redis' servers are like, once that is known, `unsafe` what of it is not as it
    should be; `loads` the newest ones. `together` adds to what this process has counted what the
    workers beside it have.
    """

    service: Service
    opening: Opening
    tallies: CounterStore
    disabled: DisabledLists
    memory: Memory
    renewer: Renewer
    uses: KeyUses
    trend: Trend
    loaded: Loaded
    losses: LossKeeper
    live: Live
    draining: bool = False
    facts: list[ServerFacts] | None = None
    loads: dict[int, Load] | None = None
    unsafe: list[str] = []
    together: Callable[[list[Family]], Awaitable[list[Family]]] = alone

    @property
    def facts_known(self) -> bool:
        """Whether Redis' servers have said what they are like."""
        return self.facts is not None

    def chores(self) -> list[Chore]:
        """What to do, and how often."""
        service = self.service
        return [
            Chore("keys", KEYS_EVERY_S, service.access.refresh),
            Chore("counts", COUNTS_EVERY_S, self.write_counts),
            Chore("uses", USES_EVERY_S, self.uses.write),
            Chore("lists", LISTS_EVERY_S, self.read_disabled),
            Chore("processes", PROCESSES_EVERY_S, service.processes.watch),
            Chore("facts", FACTS_EVERY_S, self.look_at_servers),
            Chore("loads", LOADS_EVERY_S, self.look_at_loads),
            Chore("embedded", EMBEDDED_EVERY_S, self.revive),
            Chore("settings", SETTINGS_EVERY_S, self.put_right),
            Chore("memory", MEMORY_EVERY_S, self.memory.save),
            Chore("losses", LOSSES_EVERY_S, self.losses.write),
            Chore("roster_watch", ROSTER_WATCH_EVERY_S, self.watch_roster),
            Chore("note", NOTE_EVERY_S, service.notifier.note),
            Chore("renewal", RENEWAL_EVERY_S, self.renewer.tick, REFUSED_S),
            Chore("canary", CANARY_EVERY_S, service.canary.probe, REFUSED_S),
            Chore("audit", AUDIT_EVERY_S, service.audit.tick),
            Chore("ledger", LEDGER_EVERY_S, service.ledger.tick),
            Chore("trend", TREND_EVERY_S, self.trend.note),
        ]

    async def begin(self) -> None:
        """Read the roster's id, the keys and the lists, as far as Redis answers."""
        service = self.service
        with suppress(Unavailable):
            await service.follower.roster_watch.begin(EVERY)
        with suppress(Unavailable):
            await service.access.refresh()
            await service.dictionary.refresh()
            await self.read_disabled()
            await self.look_at_servers()

    async def leave(self) -> None:
        """Tell other processes what they should know when this one ends in order."""
        service = self.service
        for step in (
            service.notifier.close,
            self.write_counts,
            self.uses.close,
            service.follower.leave,
            self.renewer.leave,
            service.canary.leave,
            self.memory.save,
            self.losses.write,
            service.ledger.close,
            service.audit.close,
        ):
            with suppress(ClearwayError):
                await step()

    async def write_counts(self) -> None:
        """Write what was counted here to Redis; raises Unavailable, and keeps it."""
        counters = self.service.counters
        for (mode, decision), count in counters.take_unwritten().items():
            self.tallies.count(mode, decision, count)
        at_ms = now_ms()
        for (leg, lag_ms), count in counters.take_lags().items():
            self.tallies.lagged(leg, lag_ms, at_ms, count)
        await self.tallies.flush(at_ms)

    async def read_disabled(self) -> None:
        """Tell checks which lists are disabled; raises Unavailable."""
        found, ended = await self.disabled.all(), self.service.access.ended
        enabled = await self.disabled.enabled() if ended.missing(found) else {}
        names = ended.off(found, enabled)
        rules = [self.service.lists.by_id(name) for name in names]
        self.service.desk.disabled = frozenset(rule.code for rule in rules if rule is not None)
        self.service.screener.lists_known = True

    async def watch_roster(self) -> None:
        """See whether anybody would notice if the roster had gone back; raises Unavailable."""
        await self.service.follower.watch_roster(self.service.processes)

    async def look_at_servers(self) -> None:
        """Let what makes a change safe, and what is degraded, follow the servers.

        Raises Unavailable, and ServerUnfit where one is too old.
        """
        facts = await self.opening.facts(self.service.changes_store.nodes)
        self.service.applier.wait = self.opening.wait(facts)
        self.unsafe = unsafe(self.opening, facts)
        self.facts = facts

    async def look_at_loads(self) -> None:
        """Know which loads have begun and ended; raises Unavailable."""
        self.loads = await self.service.dictionary.newest_loads(LOADS)

    async def revive(self) -> None:
        """Start a crashed embedded server again; raises EmbeddedError."""
        embedded = self.opening.embedded
        if embedded is not None and self.service.screener.news.silence_ms > SILENT_MS:
            await asyncio.to_thread(embedded.ensure, renew=True)

    async def put_right(self) -> None:
        """Set an embedded server as before a load that was killed, and keep its log short.

        Raises EmbeddedError.
        """
        if self.opening.embedded is not None:
            await asyncio.to_thread(self.opening.embedded.put_right)
            await asyncio.to_thread(self.opening.embedded.rewrite_if_quiet)


def unsafe(opening: Opening, facts: list[ServerFacts]) -> list[str]:
    """What of these servers is not as it should be, each name once."""
    replicated, counted = opening.target.replicated, opening.settings.replicas
    names = [name for each in facts for name in unfit(each, replicated=replicated)]
    if replicated and any(each.replicas > counted for each in facts):
        names.append("durability")  # a replica that is not waited for may be promoted
    if any(each.replicas < counted for each in facts):
        names.append("replicas")
    return list(dict.fromkeys(names))


async def repeat(chore: Chore) -> None:
    """Never returns: does the chore again and again, whatever becomes of it.

    What its user may not do is told once: there are processes that shall not do everything.
    """
    name, forbidden = chore.name, ""
    while True:
        pause_s = chore.every_s
        try:
            await chore.do()
        except ClearwayError as exc:
            cause = cause_of(exc)
            if cause != forbidden:
                log.warning("chore failed", chore=name, **why(exc))
            forbidden = cause if NOT_ALLOWED in cause else ""
            if forbidden:
                pause_s = max(pause_s, chore.refused_s)
        except Exception as exc:  # noqa: BLE001 -- a chore that ends is missed for ever
            log.error("chore failed", chore=name, error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
        await asyncio.sleep(pause_s)


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Never returns: starts what must never end again when it ends."""
    while True:
        try:
            await run()
        except Exception as exc:  # noqa: BLE001 -- a process that does not follow only refers
            log.error("has to start again", what=name, error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
        await asyncio.sleep(1)
