"""What a node of a cluster says about its cluster, read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from roster.redis.connection import raised
from roster.redis.exchange import exchange
from roster.redis.slots import Claim, View

if TYPE_CHECKING:
    import redis.asyncio

    from roster.redis.slots import Address

_EPOCH = 6
"""The column of CLUSTER NODES with the configuration epoch, counted from 0."""


async def ask_node(node: redis.asyncio.Redis, asked: Address) -> View:
    """What the node at `asked` says now; raises Unavailable, or redis' errors.

    CLUSTER SLOTS has the addresses that clients should use, CLUSTER NODES the epochs.
    """
    commands = [("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")]
    slots, nodes = [raised(reply) for reply in await exchange(node, commands, math.inf)]
    return read_view(slots, nodes, asked)


def read_view(slots: Any, nodes: bytes, asked: Address) -> View:  # noqa: ANN401 -- raw replies
    """The view in these raw replies of the node at `asked`."""
    me, epochs = "", dict[str, int]()
    for line in nodes.decode().splitlines():
        columns = line.split(" ")
        epochs[columns[0]] = int(columns[_EPOCH])
        if "myself" in columns[2]:
            me = columns[0]
    claims = set[Claim]()
    addresses: dict[str, Address] = {}
    for first, last, *servers in slots:
        names = [_take(server, asked, addresses) for server in servers]
        claims.add(Claim(epochs.get(names[0], 0), first, last, names[0]))
    addresses.setdefault(me, asked)
    return View(me, frozenset(claims), addresses)


def _take(server: Any, asked: Address, addresses: dict[str, Address]) -> str:  # noqa: ANN401 -- as above
    """The server's id, its address noted: an empty host means the one that was asked.

    A node that should be known by a host name and has none says `?`.
    """
    host, port, name, *more = server
    details = dict(zip(more[0][::2], more[0][1::2], strict=True)) if more else {}
    host = details.get(b"ip", b"") if host == b"?" else host
    addresses[name.decode()] = (host.decode() if host else asked[0], int(port))
    return str(name.decode())
