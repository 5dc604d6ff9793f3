"""Commands written to one connection of a server, and their raw replies."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import redis.asyncio
import redis.exceptions
from hiredis import pack_command

from roster.redis.timeouts import patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WHOLE = 3
"""How many time-outs of one part all may take together."""
_NEARLY = 0.9
BITE_BYTES = 16_384
"""What changes are written in parts of: a server answers others between two of them."""

_Connecting = set[asyncio.Task[Any]]
_connecting: WeakKeyDictionary[redis.asyncio.ConnectionPool, _Connecting] = WeakKeyDictionary()


async def exchange(
    node: redis.asyncio.Redis, commands: Sequence[tuple[Any, ...]], bite_bytes: float
) -> list[Any]:
    """The raw replies to commands, errors among them; each `bite_bytes` of them are one write.

    redis-py's pipeline packs a command in 6 us and converts what few callers want converted;
    hiredis packs it in 0.8.
    """
    pool: Any = node.connection_pool  # whose methods have no types
    connection = await _connection(pool)
    replies: list[Any] = []
    began = time.monotonic()
    until = began + _WHOLE * (connection.socket_timeout or math.inf)
    try:
        for bite in _bites(commands, bite_bytes):
            _check_time(until)
            await connection.send_packed_command(bite)
            async with patience(connection.socket_timeout):  # one a bite: it costs 5 us
                replies += [await _reply(connection) for _ in bite]
        connection.heard_at = time.monotonic()
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may still be under way
        if time.monotonic() - began >= _NEARLY * (connection.socket_timeout or math.inf):
            await distrust(node, began)
        raise
    finally:
        await pool.release(connection)
    return replies


async def cut(node: redis.asyncio.Redis) -> None:
    """Nothing; all of a server's connections are gone, and whoever waits for one has failed.

    redis-py's own `disconnect` would empty the parser that another task reads with.
    """
    pool: Any = node.connection_pool
    for connection in tuple(pool._in_use_connections):  # noqa: SLF001 -- there is no other way
        if connection._writer is not None:  # noqa: SLF001 -- as above
            connection._writer.transport.abort()  # noqa: SLF001 -- as above
    await _drop_idle(pool, math.inf)


async def distrust(node: redis.asyncio.Redis, since: float) -> None:
    """Nothing; idle connections to a server that have brought nothing since then are closed.

    When one is silent, the others of the same age may have been cut without a word as well,
    those of other clients too: each would cost somebody a time-out to find out.
    """
    pools = [pool for pool in _connecting if _place(pool) == _place(node.connection_pool)]
    for pool in pools:
        await _drop_idle(pool, since)


async def close(node: redis.asyncio.Redis) -> None:
    """Nothing; the client is closed, with the connections that are only being made."""
    tasks = _connecting.pop(node.connection_pool, set())
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    await node.aclose()


async def _connection(pool: Any) -> Any:  # noqa: ANN401 -- redis-py's, whose methods have no types
    """A connection of the pool, made within the client's time-out.

    One that takes longer is not given up with whoever asked: a later one finds it ready. Else
    a server to which connecting takes longer than a check may would never be reached.
    """
    idle = pool._available_connections  # noqa: SLF001 -- it costs a check nothing
    if idle and idle[-1].is_connected:
        return await pool.get_connection()
    tasks = _connecting.setdefault(pool, set())
    task = asyncio.create_task(pool.get_connection())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    try:
        async with patience(pool.connection_kwargs.get("socket_timeout")):
            return await asyncio.shield(task)
    except (TimeoutError, asyncio.CancelledError):
        task.add_done_callback(partial(_keep, pool, tasks))
        raise


def _keep(pool: Any, tasks: _Connecting, made: asyncio.Task[Any]) -> None:  # noqa: ANN401 -- redis-py's
    """Give the pool a connection that nobody waited for."""
    if made.cancelled() or made.exception() is not None:
        return
    task = asyncio.create_task(pool.release(made.result()))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _drop_idle(pool: Any, since: float) -> None:  # noqa: ANN401 -- redis-py's
    """Nothing; idle connections that have answered nobody since then are closed."""
    idle = pool._available_connections  # noqa: SLF001 -- there is no other way
    silent = [each for each in idle if getattr(each, "heard_at", 0.0) < since]
    for connection in silent:
        idle.remove(connection)
    for connection in silent:
        await connection.disconnect(nowait=True)


def _place(pool: redis.asyncio.ConnectionPool) -> tuple[Any, ...]:
    given = pool.connection_kwargs
    return given.get("host"), given.get("port"), given.get("path")


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
