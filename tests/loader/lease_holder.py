"""A process that takes the lease to load, and dies with it."""

from __future__ import annotations

import asyncio

from roster import keys
from roster.bulk import bulk_nodes
from roster.lease import Lease
from roster.target import parse_target


def hold(url: str) -> None:
    async def take() -> None:
        nodes = bulk_nodes(parse_target(url))
        assert await Lease(nodes, keys.LOAD, 30_000).take() is None

    asyncio.run(take())
