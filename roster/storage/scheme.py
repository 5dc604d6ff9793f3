"""Under which scheme a roster's tokens are made: for good the one that it was founded with.

Its check value in the partitions says which. Of an empty roster the first who opens it says it,
under a key of its own, so that all who open it at once agree. That is the newest, unless a
process is live that follows another: one of before knows no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.documents.tokeniser import SCHEME
from roster.errors import WrongKey
from roster.records.meta import Field
from roster.storage.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.documents.tokeniser import Tokeniser
    from roster.redis.nodes import Nodes

EVERY = range(keys.PARTITIONS)


async def agree(tokeniser: Tokeniser, nodes: Nodes, numbers: Iterable[int] = EVERY) -> None:
    """Nothing; the tokeniser makes this roster's tokens.

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
