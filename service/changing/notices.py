"""Tells what is safe: every process at once, by the doorbell, and a little later every poll."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from roster.errors import ClearwayError
from roster.records.position import newest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.records.position import Position
    from roster.storage.processes import Processes
    from roster.storage.store import Store

NOTE_EVERY_S = 0.25


class Teller:
    """Rings for one process; nobody who changes something waits for it.

    What was changed is safe already, and polls come without the doorbell too.
    """

    def __init__(self, store: Store, processes: Processes) -> None:
        """Notes in `store`, rings for `processes`."""
        self._store = store
        self._processes = processes
        self._untold: list[Position] = []
        self._unnoted: list[Position] = []
        self._joining: list[bytes] = []
        self._wanted = False
        self._ringing: asyncio.Task[None] | None = None

    def tell(
        self,
        positions: Iterable[Position],
        joining: Iterable[bytes] = (),
        *,
        wanted: bool = False,
    ) -> None:
        """Nothing; the bell rings in a moment, once for all that came while it last rang.

        `joining` are the tokens of people who are on a list now; `wanted` says whether somebody
        waits for every process to have applied it.
        """
        self._untold += positions
        self._joining += joining
        self._wanted = self._wanted or wanted
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def note(self) -> None:
        """Nothing; polls tell what was told until now. To be called every `NOTE_EVERY_S`.

        A process that is just connecting again has missed the bell. Raises Unavailable.
        """
        positions, self._unnoted = newest(self._unnoted), []
        try:
            await self._store.acknowledge(positions)
        except BaseException:
            self._unnoted += positions
            raise

    async def close(self) -> None:
        """Nothing; everything has been told, or could not be. Raises Unavailable."""
        if self._ringing is not None:
            await self._ringing
        await self.note()

    async def _ring(self) -> None:
        while self._untold:
            positions, self._untold = newest(self._untold), []
            joining, self._joining = self._joining, []
            wanted, self._wanted = self._wanted, False
            self._unnoted += positions
            with suppress(ClearwayError):
                await self._processes.ring(positions, joining, wanted=wanted)
