"""A process that takes the lease to load, and dies with it."""

from __future__ import annotations

import asyncio

from roster import keys
from roster.redis.nodes import bulk_nodes
from roster.redis.target import parse_target
from roster.storage.lease import Lease


def hold(url: str) -> None:
    async def take() -> None:
        nodes = bulk_nodes(parse_target(url))
        assert await Lease(nodes, keys.LOAD, 30_000).take() is None

    asyncio.run(take())
