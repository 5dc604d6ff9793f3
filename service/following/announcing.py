"""States this process to the others: that it lives, what it has applied, how fresh it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.build import build
from roster.records.blocks import NOTHING, Head
from roster.redis.calls import Listing, library
from roster.storage.processes import Process, Processes, listing, lists_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roster.storage.store import Store
    from service.following.screener import Screener

FEW = 2
"""So many processes ask at once for whatever the doorbell tells of."""
TURN_S = 0.1
"""For each more the polls in between come so much later; from 12 on none are left."""


class Announcer:
    """One process's announcements; each counts one more than the last.

    `lag_ms` is how long the last poll that the doorbell asked for took, `processes` how many
    there are.
    """

    def __init__(
        self,
        store: Store,
        screener: Screener,
        identity: tuple[str, str],
        replicas: int = 0,
        audit: Callable[[], Head] = lambda: NOTHING,
    ) -> None:
        """`identity` is the process' id and host.

        As many `replicas` must have an announcement before the process may be fresh by it as
        must have a change. `audit` tells how far the process' chain of audit blocks has come.
        """
        self._store = store
        self._nodes = store.nodes
        self._screener = screener
        self.id, self._host = identity
        self._beat = 0
        self._replicas = replicas
        self.lag_ms = 0.0
        self.processes = 1
        self._audit = audit

    def listing(self, numbers: Sequence[int]) -> Listing:
        """What lists this process where these partitions, all of one server, are read."""
        stated = self._stated()
        names = lists_of(self._nodes, numbers)
        return Listing([listing(stated, name) for name in names], self._replicas)

    async def announce(self, numbers: Sequence[int]) -> None:
        """Let whoever waits for changes to these partitions see what has been applied."""
        await self._nodes.run(self.listing(numbers).commands)

    @property
    def turn_s(self) -> float:
        """How long to leave between polls that the doorbell asks for: each costs the server."""
        return TURN_S * max(0, self.processes - FEW)

    async def leave(self) -> None:
        """Let other processes wait for this one no longer."""
        self._beat += 1
        await Processes(self._nodes).leave(self.id, self._beat)

    def _stated(self) -> Process:
        screener = self._screener
        self._beat += 1
        audit = self._audit()
        return Process(
            id=self.id,
            host=self._host,
            fresh_ms=round(screener.news.fresh_ms),
            applied=screener.applied,
            fresh_as_of_ms=min(screener.news.as_of_all_ms),
            lag_ms=self.lag_ms,
            false_hit_rate=screener.false_hit_rate,
            beat=self._beat,
            remembers=not screener.unremembered,
            build=build(),
            library=library().name,
            scheme=self._store.scheme,
            audit_blocks=audit.blocks,
            audit_head=audit.tag,
            audit_at_ms=audit.at_ms,
        )
