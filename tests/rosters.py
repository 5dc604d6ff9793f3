"""A store on a test's server, emptied."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import redis.asyncio

from roster.redis.nodes import Nodes
from roster.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import Server

CHECK = b"checkval"


@asynccontextmanager
async def opened(server: Server, check_value: bytes = CHECK) -> AsyncIterator[Store]:
    client = redis.asyncio.Redis(unix_socket_path=str(server.socket), protocol=2)
    await client.flushall()
    nodes = Nodes(client, lambda _host, _port: client)
    try:
        yield Store(nodes, check_value)
    finally:
        await nodes.close()
