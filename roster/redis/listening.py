"""A channel's messages, and whether the connection that brings them still lives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roster.redis.exchange import distrust

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import redis.asyncio

PING_EVERY_S = 0.5
PINGS = 2
"""So many without an answer, and the connection is a dead one: after 1.5 s."""


async def messages(
    node: redis.asyncio.Redis, *channels: str
) -> AsyncGenerator[tuple[str, bytes], None]:
    """Channel and message of each; raises TimeoutError once the server has been silent.

    A connection that was cut without a word looks like a channel on which nobody speaks, so
    the server is asked while it says nothing.
    """
    async with node.pubsub() as pubsub:
        await pubsub.subscribe(*channels)
        unanswered = 0
        while True:
            got = await pubsub.parse_response(block=False, timeout=PING_EVERY_S)
            if got is not None:
                unanswered = 0
                if got[0] == b"message":
                    yield got[1].decode(), bytes(got[2])
            elif unanswered == PINGS:
                await distrust(node, time.monotonic() - PINGS * PING_EVERY_S)
                raise TimeoutError
            else:
                unanswered += 1
                await pubsub.ping()
