"""Commands written to one connection of a server, and their raw replies."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

import redis.asyncio
import redis.exceptions
from hiredis import pack_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WHOLE = 3
"""How many time-outs of one part all may take together."""
BITE_BYTES = 16_384
"""What changes are written in parts of: a server answers others between two of them."""


async def exchange(
    node: redis.asyncio.Redis, commands: Sequence[tuple[Any, ...]], bite_bytes: float
) -> list[Any]:
    """The raw replies to commands, errors among them; each `bite_bytes` of them are one write.

    redis-py's pipeline packs a command in 6 us and converts what few callers want converted;
    hiredis packs it in 0.8.
    """
    pool: Any = node.connection_pool  # whose methods have no types
    connection = await pool.get_connection()
    replies: list[Any] = []
    until = time.monotonic() + _WHOLE * (connection.socket_timeout or math.inf)
    try:
        for bite in _bites(commands, bite_bytes):
            _check_time(until)
            await connection.send_packed_command(bite)
            async with asyncio.timeout(connection.socket_timeout):  # one a bite: it costs 3 us
                replies += [await _reply(connection) for _ in bite]
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may still be under way
        raise
    finally:
        await pool.release(connection)
    return replies


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError


def _bites(commands: Sequence[tuple[Any, ...]], bite_bytes: float) -> Iterator[list[bytes]]:
    """The packed commands in parts of about this size."""
    bite: list[bytes] = []
    size = 0
    for command in commands:
        packed = pack_command(command)
        bite.append(packed)
        size += len(packed)
        if size >= bite_bytes:
            yield bite
            bite, size = [], 0
    if bite:
        yield bite


async def _reply(connection: Any) -> Any:  # noqa: ANN401 -- whatever Redis says
    try:
        return await connection.read_response(timeout=math.inf)
    except redis.exceptions.ResponseError as exc:
        return exc
