"""One connection of a server: commands written, raw replies and messages read, both in time.

A time-out counts what the other side takes, not what this process takes itself. A loop that is
kept from its turn for 80 ms finds a timer of 50 ms over, and the answer that came after 1 ms
still in the socket. So the time is counted in slices: one turn of the loop counts as one slice
at most, however long it was, and what lies in the sockets is read in between.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import redis.asyncio
import redis.exceptions
from hiredis import pack_command

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType


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
            async with sliced_timeout(connection.socket_timeout):  # one a bite: it costs 5 us
                replies += [await _reply(connection) for _ in bite]
        connection.heard_at = time.monotonic()
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may still be under way
        if time.monotonic() - began >= _NEARLY * (connection.socket_timeout or math.inf):
            await close_silent(node, began)
        raise
    finally:
        await pool.release(connection)
    return replies


async def cut_connections(node: redis.asyncio.Redis) -> None:
    """Cut all of a server's connections; whoever waits for one fails.

    redis-py's own `disconnect` would empty the parser that another task reads with.
    """
    pool: Any = node.connection_pool
    for connection in tuple(pool._in_use_connections):  # noqa: SLF001 -- there is no other way
        if connection._writer is not None:  # noqa: SLF001 -- as above
            connection._writer.transport.abort()  # noqa: SLF001 -- as above
    await _drop_idle(pool, math.inf)


async def close_silent(node: redis.asyncio.Redis, since: float) -> None:
    """Close idle connections to a server that have brought nothing since then.

    When one is silent, the others of the same age may have been cut without a word as well,
    those of other clients too: each would cost somebody a time-out to find out.
    """
    pools = [pool for pool in _connecting if _place(pool) == _place(node.connection_pool)]
    for pool in pools:
        await _drop_idle(pool, since)


async def close_client(node: redis.asyncio.Redis) -> None:
    """Close the client, with the connections that are only being made."""
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
        async with sliced_timeout(pool.connection_kwargs.get("socket_timeout")):
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
    """Close idle connections that have answered nobody since then."""
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


SLICES = 5


class SlicedTimeout:
    """What `sliced_timeout` gives; without a generator behind it, a look-up costs 2 us less."""

    __slots__ = ("_left", "_limit", "_loop", "_next", "_slice_s")

    def __init__(self, timeout_s: float) -> None:
        """The time begins when it is entered."""
        self._slice_s = timeout_s / SLICES
        self._left = SLICES

    async def __aenter__(self) -> None:
        """Begin to count."""
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()
        self._plan()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise TimeoutError where the time was over."""
        self._next.cancel()
        await self._limit.__aexit__(kind, exc, trace)

    def _plan(self) -> None:
        self._next = self._loop.call_later(self._slice_s, self._tick)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._plan()
        else:
            self._limit.reschedule(self._loop.time())


def sliced_timeout(timeout_s: float | None) -> AbstractAsyncContextManager[None]:
    """Raise TimeoutError where what is done within takes longer; None is for ever."""
    return nullcontext() if timeout_s is None else SlicedTimeout(timeout_s)


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
                await close_silent(node, time.monotonic() - PINGS * PING_EVERY_S)
                raise TimeoutError
            else:
                unanswered += 1
                await pubsub.ping()
