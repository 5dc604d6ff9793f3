"""Says in the log when something begins and when it is over: a line for each, and none between."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from roster.errors import ClearwayError
from roster.times import boot_s, format_ms, now_ms
from service.logs.remedies import CONDITIONS, DEGRADED
from service.routes.ops import conditions, degraded, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roster.storage.dictionary import Load
    from service.upkeep import Upkeep

MANUAL = "docs/operations.md, Alerts"
WITHIN_S = 1.0
BEHIND_S = 1.0
"""Who catches up within this time was never behind."""
OVER_S = 15.0
"""What comes again within this time was not over."""

log = structlog.get_logger("clearway.state")


class Transitions:
    """What one process was like at the last look."""

    def __init__(self, where: Sequence[str]) -> None:
        """`where` are the addresses that it listens on."""
        self._where = where
        self._failing: dict[str, str] | None = None
        self._degraded: dict[str, float] = {}
        self._well: dict[str, float] = {}
        self._servers: tuple[str, ...] = ()
        self._behind_s: float | None = None
        self._behind = False
        self._loads: dict[int, bool] | None = None
        self._keys: frozenset[str] | None = None

    async def look(self, upkeep: Upkeep) -> None:
        """Say what has changed since the last look."""
        await self._look_at_readiness(upkeep)
        self._look_at_degraded(degraded(upkeep))
        self._look_at_servers(upkeep.opening.servers)
        if self._failing == {}:
            self._look_at_follower(upkeep)
        self._look_at_loads(upkeep.loads)
        self._look_at_keys(upkeep)

    async def _look_at_readiness(self, upkeep: Upkeep) -> None:
        found = {name: each.detail for name, each in conditions(upkeep).items() if not each.ok}
        if found == self._failing:
            return
        self._failing = found
        if not found:
            log.info("ready", listening=self._where, pid=os.getpid(), **await _of_roster(upkeep))
        for name, detail in found.items():
            # Nothing can be said of lists before anything was read.
            cause = "loaded" if name == "covered" and "loaded" in found else name
            remedy = CONDITIONS.get(cause, MANUAL)
            log.warning("not ready", condition=name, why=detail, remedy=remedy)

    def _look_at_degraded(self, names: list[str]) -> None:
        now_s = boot_s()
        self._well = {
            name: self._well.get(name, now_s) for name in self._degraded if name not in names
        }
        for name in [each for each, since_s in self._well.items() if now_s - since_s >= OVER_S]:
            for_s = round(self._well.pop(name) - self._degraded.pop(name), 1)
            log.info("degraded no longer", name=name, for_s=for_s)
        for name in [each for each in names if each not in self._degraded]:
            self._degraded[name] = now_s
            kind = name.partition(":")[0]
            log.warning("degraded", name=name, remedy=DEGRADED.get(kind, MANUAL))

    def _look_at_servers(self, servers: tuple[str, ...]) -> None:
        if self._servers and servers and servers != self._servers:
            log.warning("fail-over seen", was=self._servers, now=servers)
        self._servers = servers or self._servers

    def _look_at_follower(self, upkeep: Upkeep) -> None:
        now_s = boot_s()
        if upkeep.service.follower.behind or not upkeep.service.screener.fresh:
            self._behind_s = now_s if self._behind_s is None else self._behind_s
            if not self._behind and now_s - self._behind_s >= BEHIND_S:
                self._behind = True
                log.warning("follower behind", remedy=CONDITIONS["news"])
        elif self._behind_s is not None:
            if self._behind:
                log.info("follower caught up", for_s=round(now_s - self._behind_s, 1))
            self._behind_s, self._behind = None, False

    def _look_at_loads(self, loads: Mapping[int, Load] | None) -> None:
        """Those that had begun before this process are no news."""
        if loads is None:
            return
        known, self._loads = self._loads, {n: bool(each.applied_at_ms) for n, each in loads.items()}
        if known is None:
            return
        for number, load in reversed(tuple(loads.items())):
            if number not in known:
                log.info("load begun", **_of_load(number, load))
            if load.applied_at_ms and not known.get(number, False):
                log.info("load ended", **_of_load(number, load), did=load.did)

    def _look_at_keys(self, upkeep: Upkeep) -> None:
        access = upkeep.service.access
        if not access.has_read:
            return
        now = now_ms()
        found = {key.id: key for key in access.keys if key.works(now)}
        known, self._keys = self._keys, frozenset(found)
        for name in found.keys() - known if known is not None else ():
            log.info("key made", key=name, scopes=found[name].scopes)
        for name in known - found.keys() if known is not None else ():
            log.info("key ended", key=name)


async def _of_roster(upkeep: Upkeep) -> dict[str, Any]:
    """Which roster it is, and what it holds, where Redis says so soon."""
    told: dict[str, Any] = {"roster": upkeep.service.screener.roster.decode()}
    with suppress(ClearwayError, TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            found = await summary(upkeep)
        covered = [name for name, each in found.lists.items() if each.covered]
        told |= {"people": found.people, "lists": covered}
    return told


def _of_load(number: int, load: Load) -> dict[str, Any]:
    as_of = format_ms(load.as_of) if load.as_of is not None else None
    return {"load": number, "kind": load.kind, "lists": load.lists, "as_of": as_of, "by": load.who}
