"""What a roster is given when it is founded and keeps: a random id, the scheme of its tokens.

The id is there so that nothing of one roster is taken for another's. It stands under a key of its
own and in every partition. A roster of a version that had none gets one; one that was emptied
gets another. Where only the key was lost, or has come back from a backup that lacks it, the
partitions tell it.

The check value in the partitions says which scheme it is. Of an empty roster the first who opens
it says it, under a key of its own, so that all who open it at once agree. That is the newest,
unless a process is live that follows another: one of before knows no other.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

from roster import keys
from roster.documents.tokeniser import SCHEME
from roster.errors import WrongKey
from roster.records.meta import Field
from roster.records.position import ROSTER_BYTES
from roster.storage.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.documents.tokeniser import Tokeniser
    from roster.redis.nodes import Nodes


EVERY = range(keys.PARTITIONS)


async def agree_on_scheme(
    tokeniser: Tokeniser, nodes: Nodes, numbers: Iterable[int] = EVERY
) -> None:
    """Have the tokeniser make this roster's tokens.

    These partitions are asked first: others may be silent. Raises Unavailable, and WrongKey
    where the roster was founded with another ID key, or by a version that is yet to come.
    """
    scheme = (
        await _founded(tokeniser, nodes, numbers)
        or await _claimed(nodes)
        or await _founded(tokeniser, nodes, EVERY)
        or await _claim(nodes)
    )
    if scheme not in tokeniser.check_values:
        raise WrongKey(f"the roster is of scheme {scheme}, which this version does not know")
    tokeniser.use(scheme)


async def _founded(tokeniser: Tokeniser, nodes: Nodes, numbers: Iterable[int]) -> int:
    """The scheme that these partitions state; 0 where they were never written."""
    asked = [(number, ("HGET", keys.META[number], Field.CHECK)) for number in numbers]
    stated = set(filter(None, await nodes.on_partitions(asked)))
    schemes = [scheme for scheme, check in tokeniser.check_values.items() if check in stated]
    if len(stated) > len(schemes):
        raise WrongKey("the roster was loaded with another ID key or another scheme")
    if len(schemes) > 1:
        raise WrongKey("the roster was founded by two versions at once: empty it and load again")
    return schemes[0] if schemes else 0


async def _claimed(nodes: Nodes) -> int:
    (stated,) = await nodes.keyed(keys.SCHEME, [("GET", keys.SCHEME)])
    return int(stated or 0)


async def _claim(nodes: Nodes) -> int:
    """The scheme of an empty roster."""
    live = await Processes(nodes).live()
    scheme = min([SCHEME, *(process.scheme for process in live)])
    await nodes.keyed(keys.SCHEME, [("SET", keys.SCHEME, scheme, "NX")])
    return await _claimed(nodes) or scheme


Histories = dict[int, int]
"""The history of each partition, by its number; 0 where it was never written."""


class RosterId:
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
            known = await self._make(await self._likeliest(remembered or {}))
        self.id = known
        return known

    async def _stated(self) -> bytes | None:
        (known,) = await self._nodes.keyed(keys.ROSTER, [("GET", keys.ROSTER)])
        return None if known is None else bytes(known)

    async def _likeliest(self, remembered: Histories) -> bytes:
        """What most partitions say, else the id so far where it is the same roster, or `b""`."""
        partitions = await self._partitions()
        stated = Counter(roster for roster, _ in partitions if roster)
        if stated:
            return stated.most_common(1)[0][0]
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
        # One after the other: of two commands the first may be the one that is sent again.
        await self._nodes.keyed(keys.ROSTER, [("SET", keys.ROSTER, made, "NX")])
        return await self._stated() or made
