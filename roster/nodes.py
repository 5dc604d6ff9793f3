"""Which Redis server owns which partition, and one pipeline to each of them.

Commands of one partition go in one pipeline on one connection of the node that owns it, so
that a WAIT behind them speaks of them (STYLE.md: a cluster client asks another node).
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis.asyncio
import redis.exceptions
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot

from roster import keys
from roster.connection import close, error_code, translate, translated
from roster.errors import ClearwayError, NotDurable, Unavailable
from roster.exchange import BITE_BYTES, exchange
from roster.library import library

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from roster.connection import AsyncClient

    _Command = tuple[Any, ...]
    _Groups = dict[redis.asyncio.Redis, list[int]]

SLOTS = tuple(key_slot(key.encode()) for key in keys.META)
_ELSEWHERE = frozenset({"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"})
TRIES = 4


class Call(NamedTuple):
    """One function call on one partition; without a function, all of one hash."""

    partition: int
    function: str
    keys: Sequence[str]
    args: Sequence[bytes | str | int]

    def command(self) -> tuple[Any, ...]:
        """The call as Redis takes it."""
        if not self.function:
            return ("HGETALL", *self.keys, *self.args)
        name = self.function + library().suffix
        return ("FCALL", name, len(self.keys), *self.keys, *self.args)


class Wait(NamedTuple):
    """What must hold before a change counts as safe; `aof` where the server has WAITAOF."""

    aof: bool
    replicas: int
    timeout_ms: int

    def commands(self) -> list[tuple[Any, ...]]:
        """The commands to send behind the changes, on the same connection."""
        waits: list[tuple[Any, ...]] = []
        if self.aof:
            waits.append(("WAITAOF", 1, 0, self.timeout_ms))
        if self.replicas:
            waits.append(("WAIT", self.replicas, self.timeout_ms))
        return waits

    def holds(self, replies: Sequence[Any]) -> bool:
        """Whether the commands' replies say that the changes are safe."""
        left = list(replies)
        local = left.pop(0)[0] if self.aof else 1
        replicas = left.pop(0) if self.replicas else 0
        return local >= 1 and replicas >= self.replicas


class Nodes:
    """The servers behind one client; a cluster's nodes get a plain client each."""

    def __init__(
        self, client: AsyncClient, node_client: Callable[[str, int], redis.asyncio.Redis]
    ) -> None:
        """`node_client` makes the client of a cluster's node from its host and port."""
        self.client = client
        self._node_client = node_client
        self._clients: dict[tuple[str, int], redis.asyncio.Redis] = {}
        self._mapping: asyncio.Task[None] | None = None

    async def run(self, calls: Sequence[Call], wait: Wait | None = None) -> list[Any]:
        """Every call's reply, in order, and after them each node's `Wait.holds`.

        Raises Unavailable, WrongKey or redis' ResponseError of the first call that failed.
        """
        replies: list[Any] = [None] * len(calls)
        safe: list[bool] = []
        pending = list(range(len(calls)))
        commands = [call.command() for call in calls]
        waits = wait.commands() if wait else []
        for attempt in range(TRIES):
            failed: list[int] = []
            groups = await self._split(calls, pending)
            for indexes, got in await self._ask(groups, commands, waits):
                for index, reply in zip(indexes, got, strict=False):
                    replies[index] = reply
                again = [i for i in indexes if self._again(replies[i], attempt)]
                failed += again
                if wait and len(again) < len(indexes):
                    safe.append(_holds(wait, got[len(indexes) :]))
            if not failed:
                break
            await self._mend([replies[index] for index in failed])
            pending = failed
        for reply in replies:
            _raise_failure(reply)
        return [*replies, *safe] if wait else replies

    async def keyed(
        self, key: str, commands: Sequence[tuple[Any, ...]], wait: Wait | None = None
    ) -> list[Any]:
        """The replies to plain commands on one key, sent in one go to the server that owns it.

        With `wait`, raises NotDurable where they are not known to be safe.
        """
        node = self.client
        if isinstance(node, RedisCluster):
            with translated():
                await node.initialize()
            node = self._owner(key_slot(key.encode()))
        waits = wait.commands() if wait else []
        got = await self._pipeline(node, [*commands, *waits])
        for reply in got:
            _raise_failure(reply)
        if wait and not wait.holds(got[len(commands) :]):
            raise NotDurable("what was written is not known to be safe")
        return got[: len(commands)]

    async def on_partitions(self, commands: Sequence[tuple[int, tuple[Any, ...]]]) -> list[Any]:
        """The replies to plain commands, each on a key of the partition named beside it."""
        calls = [Call(partition, "", (), ()) for partition, _ in commands]
        replies: list[Any] = [None] * len(commands)
        groups = await self._split(calls, range(len(calls)))
        for indexes, got in await self._ask(groups, [each for _, each in commands]):
            for index, reply in zip(indexes, got, strict=True):
                _raise_failure(reply)
                replies[index] = reply
        return replies

    async def subscribed(self, channel: str) -> AsyncIterator[bytes]:
        """The messages of a channel, until the connection breaks: then Unavailable."""
        with translated():
            node = (await self.masters())[0]
            async with node.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(channel)
                while True:
                    message = await pubsub.get_message(timeout=None)
                    if message is not None:
                        yield bytes(message["data"])

    async def masters(self) -> list[redis.asyncio.Redis]:
        """A client for every server that owns partitions."""
        calls = [Call(partition, "", (), ()) for partition in range(keys.PARTITIONS)]
        return list(await self._split(calls, range(keys.PARTITIONS)))

    async def load_library(self) -> None:
        """Nothing; every server has our functions afterwards, beside those of other versions."""
        code = library().code
        with translated():
            for node in await self.masters():
                await node.function_load(code, replace=True)

    async def close(self) -> None:
        """Nothing; all connections are closed."""
        if self._mapping is not None:
            self._mapping.cancel()
            await asyncio.wait([self._mapping])
        for node in self._clients.values():
            await node.aclose()
        await close(self.client)

    async def _split(self, calls: Sequence[Call], indexes: Sequence[int]) -> _Groups:
        if not isinstance(self.client, RedisCluster):
            return {self.client: list(indexes)}
        with translated():
            await self.client.initialize()
        groups: _Groups = {}
        for index in indexes:
            groups.setdefault(self._owner(SLOTS[calls[index].partition]), []).append(index)
        return groups

    def _owner(self, slot: int) -> redis.asyncio.Redis:
        cluster = cast("RedisCluster", self.client)
        try:
            with translated():
                node = cluster.nodes_manager.get_node_from_slot(slot)
        except (KeyError, Unavailable) as exc:  # redis-py raises KeyError for a lost slot
            self._remap()
            raise Unavailable("no server of the cluster has this partition") from exc
        address = (str(node.host), int(node.port))
        if address not in self._clients:
            self._clients[address] = self._node_client(*address)
        return self._clients[address]

    async def _ask(
        self, groups: _Groups, commands: Sequence[_Command], waits: Sequence[_Command] = ()
    ) -> list[tuple[list[int], list[Any]]]:
        """What each server was asked, and its replies; raises a failure once all have ended."""
        bite = BITE_BYTES if waits else math.inf
        asked = [
            self._pipeline(node, [*(commands[index] for index in indexes), *waits], bite)
            for node, indexes in groups.items()
        ]
        if len(asked) == 1:  # a task would cost a check more than it saves
            return list(zip(groups.values(), [await asked[0]], strict=True))
        got = await asyncio.gather(*asked, return_exceptions=True)
        if failed := [each for each in got if isinstance(each, BaseException)]:
            raise failed[0]
        return list(zip(groups.values(), cast("list[list[Any]]", got), strict=True))

    async def _pipeline(
        self, node: redis.asyncio.Redis, commands: Sequence[_Command], bite_bytes: float = math.inf
    ) -> list[Any]:
        try:
            with translated():
                got = await exchange(node, commands, bite_bytes)
        except (Unavailable, asyncio.CancelledError):
            # Its replica may have taken over. A check that gave up does not wait for the map.
            self._remap()
            raise
        if any(_elsewhere(reply) for reply in got):
            self._remap()
        return got

    def _remap(self) -> asyncio.Task[None] | None:
        """Read a cluster's slot map again, once for all who miss it at this moment."""
        if isinstance(self.client, RedisCluster) and (
            self._mapping is None or self._mapping.done()
        ):
            self._mapping = asyncio.create_task(self._read_map(self.client))
        return self._mapping

    @staticmethod
    async def _read_map(cluster: RedisCluster) -> None:
        try:
            with translated():
                await cluster.initialize()
                await cluster.nodes_manager.initialize()
        except ClearwayError:
            return  # the next failure asks again

    def _again(self, reply: object, attempt: int) -> bool:
        if attempt == TRIES - 1 or not isinstance(reply, Exception):
            return False
        return "Function not found" in str(reply) or (
            isinstance(self.client, RedisCluster) and _elsewhere(reply)
        )

    async def _mend(self, replies: Sequence[Exception]) -> None:
        if any("Function not found" in str(reply) for reply in replies):
            await self.load_library()
        mapping = self._mapping
        if mapping is not None:
            await asyncio.shield(mapping)


def _elsewhere(reply: object) -> bool:
    return isinstance(reply, Exception) and error_code(reply) in _ELSEWHERE


def _holds(wait: Wait, replies: Sequence[Any]) -> bool:
    return not any(isinstance(reply, Exception) for reply in replies) and wait.holds(replies)


def _raise_failure(reply: object) -> None:
    if isinstance(reply, Exception):
        error = translate(reply)
        if error is None:
            raise reply
        raise error from reply
