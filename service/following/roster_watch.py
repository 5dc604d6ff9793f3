"""Which roster a process follows, and whether anybody would notice if it had gone back.

What is remembered of one roster is never taken for another's: where the id changes, the
process starts anew. One that remembers nothing of an old roster, with nobody beside it who
does, says `unremembered`: a backup that was restored before its start cannot be noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from roster.storage.rewinds import adopt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from roster.records.meta import Meta
    from roster.records.replies import Tail
    from roster.storage.processes import Processes
    from roster.storage.store import Store
    from service.following.memory import Memory
    from service.following.screener import Screener

EVERY_S = 1.0

log = structlog.get_logger("clearway.roster_watch")


class RosterWatch:
    """One process' knowledge of its roster's id."""

    def __init__(
        self,
        store: Store,
        screener: Screener,
        memory: Memory | None,
        on_change: Callable[[], None],
    ) -> None:
        """Nothing is known yet: see `begin`.

        `memory` is what the data folder has; `on_change` is told of another roster.
        """
        self._store = store
        self._screener = screener
        self._on_change = on_change
        self._histories: dict[int, int] = {}
        self._since_ms = 0
        self._memory = memory

    async def begin(self, numbers: Sequence[int]) -> None:
        """Read the roster's scheme and id, and what the data folder has of it.

        These partitions are asked. Raises Unavailable and WrongKey.
        """
        await self._store.open(numbers)
        if not self._screener.roster:
            await self.look(await self._store.tails(dict.fromkeys(numbers), {}))

    async def look(self, tails: Mapping[int, Tail]) -> bool:
        """Whether these tails are another roster's than those before."""
        before, was = self._screener.roster, dict(self._histories)
        self._histories |= {number: tail.position.history for number, tail in tails.items()}
        if before and all(tail.roster == before for tail in tails.values()):
            return False
        roster = await self._named(tails.values(), before, was)
        if roster == before:
            return False
        if before:
            log.error("another roster is there", was=before.decode(), now=roster.decode())
            self._screener.start_anew(roster)
        self._screener.roster = roster
        self._remember(tails.values())
        self._on_change()
        return True

    async def watch(self, processes: Processes, process_id: str) -> None:
        """End `unremembered` where there is a reason; raises Unavailable."""
        if not self._screener.unremembered:
            return
        live = await processes.live()
        others = (each for each in live if each.id != process_id and each.seen_ms > self._since_ms)
        if any(each.remembers for each in others) or await self._is_vouched_for():
            self._screener.unremembered = False
            log.info("the roster is remembered from now on")

    async def _named(self, tails: Collection[Tail], before: bytes, was: dict[int, int]) -> bytes:
        """The id that the partitions state; where they differ or none states one, it is read.

        Raises Unavailable.
        """
        name = self._store.roster_id
        stated = {tail.roster for tail in tails if tail.roster}
        if len(stated) == 1 and (stated == {before} or all(tail.roster for tail in tails)):
            name.id = stated.pop()
        else:
            await name.read(was)
        if any(tail.position.history and not tail.roster for tail in tails):
            await adopt(self._store, (tail.position.partition for tail in tails))
        return name.id

    def _remember(self, tails: Collection[Tail]) -> None:
        """Recall what the data folder has of this roster."""
        if self._memory is None:
            return
        recalled = self._memory.recall(self._screener.roster, self._histories)
        is_old = any(tail.position.seq or tail.covered for tail in tails)
        self._since_ms = max(tail.now_ms for tail in tails)
        self._screener.unremembered = is_old and not recalled
        if self._screener.unremembered:
            log.warning("nothing is remembered of this roster: see the manual for restored backups")

    async def _is_vouched_for(self) -> bool:
        """Whether the roster was accepted, or all its lists loaded in full, since the start."""
        metas = await self._store.metas()
        return all(_is_vouched_for(meta, self._since_ms) for meta in metas)


def _is_vouched_for(meta: Meta, since_ms: int) -> bool:
    if meta.accepted_ms >= since_ms:
        return True
    return bool(meta.covered) and all(meta.floor_ms(code) > since_ms for code in meta.covered)
