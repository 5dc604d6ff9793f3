"""The client of the server that has a slot, as far as is known now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import redis.asyncio
import redis.exceptions

from roster.errors import Unavailable
from roster.redis.connection import error_code, sent_on
from roster.redis.exchange import close_client, cut_connections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roster.redis.discovery import Discovery
    from roster.redis.slots import Address

_REPLACED = frozenset({"READONLY", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED", "LOADING"})
"""What a server says that another may have replaced, or that is cut off from its replicas."""


class Routes:
    """The clients of a roster's servers, kept to what its discovery knows."""

    def __init__(
        self, discovery: Discovery, node_client: Callable[[str, int], redis.asyncio.Redis]
    ) -> None:
        """`node_client` makes a client from host and port."""
        self._discovery = discovery
        self._node_client = node_client
        self._clients: dict[Address, redis.asyncio.Redis] = {}
        self._moved: dict[int, Address] = {}
        self._watching = False
        self._cutting: set[asyncio.Task[None]] = set()

    @property
    def known(self) -> bool:
        """Whether it is known where the servers are, and kept so."""
        return self._watching and self._discovery.map is not None

    async def find(self, timeout_s: float) -> None:
        """Find out where the servers are. Raises Unavailable, with who was asked."""
        if not self._watching:
            self._watching = True
            self._discovery.watch(self._changed)
        await self._discovery.found(timeout_s)

    @property
    def clustered(self) -> bool:
        """Whether there may be several servers."""
        return self._discovery.target.kind == "cluster"

    def address(self, slot: int) -> Address | None:
        """Where a slot's server is; None where nobody has it, or nothing is known."""
        known = self._discovery.map
        return self._moved.get(slot) or (known.owner(slot) if known else None)

    def client(self, slot: int) -> redis.asyncio.Redis:
        """The client of a slot's server; raises Unavailable where nobody has it."""
        address = self.address(slot)
        if address is None:
            self._discovery.nudge()
            raise Unavailable("no server of the cluster has this partition")
        return self._at(address)

    def failed(self, node: redis.asyncio.Redis) -> None:
        """Have the server looked for that may have taken over; waits for nobody."""
        self._discovery.nudge()
        self._moved = {slot: at for slot, at in self._moved.items() if self._at(at) is not node}

    def heed(self, node: redis.asyncio.Redis, replies: Sequence[Any]) -> None:
        """Have the right node looked for where this one said that it is not.

        Until the map says more, a slot is where the node says that it has moved; an empty host
        is the node's own.
        """
        for reply in replies:
            if isinstance(reply, redis.exceptions.MovedError):
                host = reply.host or node.connection_pool.connection_kwargs["host"]
                self._moved[reply.slot_id] = (host, reply.port)
        if any(sent_on(reply) or _replaced(reply) for reply in replies):
            self._discovery.nudge()

    def ahead(self, reply: object) -> redis.asyncio.Redis | None:
        """The client of the server to which a key has moved ahead of its slot, if it has."""
        if isinstance(reply, redis.exceptions.AskError) and error_code(reply) == "ASK":
            return self._at((reply.host, reply.port)) if reply.host else None
        return None

    async def close(self) -> None:
        """Close all connections, and ask nothing more for this one's sake."""
        await self._discovery.unwatch(self._changed)
        self._watching = False
        for node in self._clients.values():
            await close_client(node)
        if self._cutting:
            await asyncio.wait(self._cutting)

    def _at(self, address: Address) -> redis.asyncio.Redis:
        if address not in self._clients:
            self._clients[address] = self._node_client(*address)
        return self._clients[address]

    def _changed(self) -> None:
        """Who has nothing any more is waited for no longer: its connections are cut."""
        known = self._discovery.map
        self._moved.clear()
        for address, node in self._clients.items():
            if known is not None and address not in known.servers:
                task = asyncio.create_task(cut_connections(node))
                self._cutting.add(task)
                task.add_done_callback(self._cutting.discard)


def _replaced(reply: object) -> bool:
    return isinstance(reply, Exception) and error_code(reply) in _REPLACED
