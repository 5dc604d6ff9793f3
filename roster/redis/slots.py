"""Which server has which slot: what the servers of a cluster say, read and put together.

Of two servers that claim a slot the one with the newer configuration epoch has it (Redis
cluster specification, "Hash slots configuration propagation").
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from roster.redis.calls import pairs
from roster.redis.connection import raised
from roster.redis.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import redis.asyncio


Address = tuple[str, int]

COUNT = 16_384
_BEFORE = -1


class Claim(NamedTuple):
    """The slots `first` to `last` are those of the server `owner`, since `epoch`."""

    epoch: int
    first: int
    last: int
    owner: str


class NodeView(NamedTuple):
    """What one server says: who it is itself, who has which slots, and where servers are."""

    me: str
    claims: frozenset[Claim]
    addresses: Mapping[str, Address]


class SlotMap:
    """Who has which slot, as far as it is known."""

    def __init__(self, claims: frozenset[Claim], addresses: Mapping[str, Address]) -> None:
        """The newest claim to a slot counts; `addresses` are those of the owners."""
        self.claims = claims
        self.addresses = dict(addresses)
        self._starts = sorted({0} | {c.first for c in claims} | {c.last + 1 for c in claims})
        self._owners = [self._newest(start) for start in self._starts]

    @property
    def servers(self) -> frozenset[Address]:
        """Every server that has a slot."""
        return frozenset(owner for owner in self._owners if owner is not None)

    def owner(self, slot: int) -> Address | None:
        """The slot's server; None where nobody has it."""
        return self._owners[bisect_right(self._starts, slot) - 1]

    def same(self, other: SlotMap | None) -> bool:
        """Whether another map says the same."""
        return (
            other is not None and self.claims == other.claims and self.addresses == other.addresses
        )

    def left_unclaimed(self, now: frozenset[Claim]) -> set[Claim]:
        """What this map knows of slots to which `now` makes no claim, each older than any."""
        edges = {edge for claim in now for edge in (claim.first, claim.last + 1)}
        bounds = sorted({*self._starts, *edges, COUNT} - {COUNT + 1})
        found = set()
        for first, end in pairwise(bounds):
            claim = _newest(self.claims, first)
            if claim is not None and _newest(now, first) is None:
                found.add(Claim(_BEFORE, first, end - 1, claim.owner))
        return found

    def _newest(self, slot: int) -> Address | None:
        newest = _newest(self.claims, slot)
        return None if newest is None else self.addresses.get(newest.owner)


def _newest(claims: Iterable[Claim], slot: int) -> Claim | None:
    return max((c for c in claims if c.first <= slot <= c.last), default=None)


def whole(address: Address) -> SlotMap:
    """The map of one server that has everything."""
    return SlotMap(frozenset({Claim(0, 0, COUNT - 1, "")}), {"": address})


def merged(views: Iterable[NodeView], before: SlotMap | None) -> SlotMap | None:
    """The newest that these views, one a server, and an earlier map know; None without views.

    What a server says of itself counts more than what others say of it. A server that says
    nothing keeps what was known of it, as long as any other knows it at all. So does one that
    has just given a slot away, until the new owner says that it has it: it knows better.
    """
    heard = {view.me: view for view in views}
    if not heard:
        return before
    claims = {claim for view in heard.values() for claim in view.claims}
    addresses = {name: where for view in heard.values() for name, where in view.addresses.items()}
    if before is not None:
        claims |= {claim for claim in before.claims if claim.owner in addresses}
    own = {claim for view in heard.values() for claim in view.claims if claim.owner == view.me}
    valid = own | {claim for claim in claims if claim.owner not in heard}
    if before is not None:
        old = before.left_unclaimed(frozenset(valid))
        valid |= {claim for claim in old if claim.owner in addresses}
    owners = {claim.owner for claim in valid}
    return SlotMap(
        frozenset(valid), {name: addresses[name] for name in sorted(owners & addresses.keys())}
    )


_EPOCH = 6
"""The column of CLUSTER NODES with the configuration epoch, counted from 0."""


async def ask_node(node: redis.asyncio.Redis, asked: Address) -> NodeView:
    """What the node at `asked` says now; raises Unavailable, or redis' errors.

    CLUSTER SLOTS has the addresses that clients should use, CLUSTER NODES the epochs.
    """
    commands = [("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")]
    slots, nodes = [raised(reply) for reply in await exchange(node, commands, math.inf)]
    return read_view(slots, nodes, asked)


def read_view(slots: Any, nodes: bytes, asked: Address) -> NodeView:  # noqa: ANN401 -- raw replies
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
    return NodeView(me, frozenset(claims), addresses)


def _take(server: Any, asked: Address, addresses: dict[str, Address]) -> str:  # noqa: ANN401 -- as above
    """The server's id, its address noted: an empty host means the one that was asked.

    A node that should be known by a host name and has none says `?`.
    """
    host, port, name, *more = server
    details = pairs(more[0]) if more else {}
    host = details.get(b"ip", b"") if host == b"?" else host
    addresses[name.decode()] = (host.decode() if host else asked[0], int(port))
    return str(name.decode())
