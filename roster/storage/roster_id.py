"""The random id of a roster: made once, so that nothing of one roster is taken for another's.

It stands under a key of its own and in every partition. A roster of a version that had none
gets one; one that was emptied gets another. Where only the key was lost, or has come back from
a backup that lacks it, the partitions tell it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

from roster import keys
from roster.records.meta import Field
from roster.records.position import ROSTER_BYTES

if TYPE_CHECKING:
    from roster.redis.nodes import Nodes

Histories = dict[int, int]
"""The history of each partition, by its number; 0 where it was never written."""


class RosterName:
    """The id as this program last read it; `b""` before."""

    def __init__(self, nodes: Nodes) -> None:
        """Nothing is known yet: see `read`."""
        self._nodes = nodes
        self.id = b""

    async def read(self, remembered: Histories | None = None) -> bytes:
        """The roster's id, which is made where there is none. Raises Unavailable.

        Where the roster has lost its id, `remembered` says what histories it had when it was
        last seen: it is the same roster still where one of them goes on.
        """
        known = await self._stated()
        if known is None:
            known = await self._make(await self._told(remembered or {}))
        self.id = known
        return known

    async def _stated(self) -> bytes | None:
        (known,) = await self._nodes.keyed(keys.ROSTER, [("GET", keys.ROSTER)])
        return None if known is None else bytes(known)

    async def _told(self, remembered: Histories) -> bytes:
        """What most partitions say, else the id so far where it is the same roster, or `b""`."""
        partitions = await self._partitions()
        told = Counter(roster for roster, _ in partitions if roster)
        if told:
            return told.most_common(1)[0][0]
        same = any(
            history and history == remembered.get(n) for n, (_, history) in enumerate(partitions)
        )
        return self.id if same else b""

    async def _partitions(self) -> list[tuple[bytes, int]]:
        commands = [
            (number, ("HMGET", keys.META[number], Field.ROSTER, Field.HISTORY))
            for number in range(keys.PARTITIONS)
        ]
        got = await self._nodes.on_partitions(commands)
        return [(bytes(roster or b""), int(history or 0)) for roster, history in got]

    async def _make(self, known: bytes) -> bytes:
        made = known or secrets.token_hex(ROSTER_BYTES // 2).encode()
        _, stands = await self._nodes.keyed(
            keys.ROSTER, [("SET", keys.ROSTER, made, "NX"), ("GET", keys.ROSTER)]
        )
        return bytes(stands or made)
