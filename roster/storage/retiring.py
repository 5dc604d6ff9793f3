"""Takes the functions of versions that nobody runs any more out of Redis.

None goes while a live process calls it, or while one does not say what it calls: it is of an
older version. A command, or a roster beside this one, may still want what has gone: its next
call loads it again, as after Redis has lost it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from roster.errors import Unavailable
from roster.redis.connection import translated
from roster.redis.library import PREFIX, library

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis.asyncio

    from roster.redis.nodes import Nodes
    from roster.storage.processes import Process


async def retire(nodes: Nodes, live: Iterable[Process]) -> list[str]:
    """The libraries that have gone, by name; none from a server that does not let us."""
    called = {process.library for process in live} | {library().name}
    if "" in called:
        return []
    gone: list[str] = []
    for node in await nodes.masters():
        with contextlib.suppress(Unavailable, ResponseError), translated(node):
            gone += await _retire(node, called)
    return sorted(set(gone))


async def _retire(node: redis.asyncio.Redis, called: set[str]) -> list[str]:
    found = await node.function_list(library=f"{PREFIX}*")
    names = [each[each.index(b"library_name") + 1].decode() for each in found]
    gone = [name for name in names if name not in called]
    for name in gone:
        await node.function_delete(name)
    return gone
