"""Which Redis server owns which partition, and one pipeline to each of them.

Commands of one partition go in one pipeline on one connection of the node that owns it, so
that a WAIT behind them speaks of them (docs/decisions/0001-one-pipeline-to-each-node.md).
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import redis.asyncio
from redis.exceptions import AskError

from roster import keys
from roster.errors import NotDurable, Unavailable
from roster.redis.calls import SLOTS, Call, Plain, Wait, library, pairs, whatever_memory
from roster.redis.connection import (
    bulk_client,
    error_code,
    error_label,
    function_missing,
    raised,
    sent_on,
    translated,
    where,
)
from roster.redis.discovery import Discovery
from roster.redis.exchange import BITE_BYTES, close_client, exchange, messages
from roster.redis.logins import loading
from roster.redis.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from roster.redis.slots import Address
    from roster.redis.target import Target

    _Command = tuple[Any, ...]
    _Groups = dict[redis.asyncio.Redis, list[int]]

_SOON = frozenset({"ASK", "TRYAGAIN", "CLUSTERDOWN"})
TRIES = 4
PAUSE_S = 0.003
FIND_S = 5.0

Server: TypeAlias = "Address | None"
"""Where a server is found; None for the only one, and where nobody is known."""


def open_nodes(
    target: Target,
    client: Callable[[Target, Address | None], redis.asyncio.Redis],
    discovery: Discovery | None = None,
    find_s: float = FIND_S,
    errors: Counter[str] | None = None,
) -> Nodes:
    """The servers of a target; `client` makes the client of one, at an address or the target's.

    Whoever opens several gives them one discovery, and one place to count errors.
    """
    place = client(target, None) if target.kind == "server" else discovery or Discovery(target)
    return Nodes(place, lambda host, port: client(target, (host, port)), find_s, errors)


def bulk_nodes(target: Target) -> Nodes:
    """The servers of a target, for whole files: one call may merge many buckets."""
    return open_nodes(target, bulk_client)


class Nodes:
    """The servers of a roster: one client, or one for each server that its discovery knows."""

    def __init__(
        self,
        place: redis.asyncio.Redis | Discovery,
        node_client: Callable[[str, int], redis.asyncio.Redis],
        find_s: float = FIND_S,
        errors: Counter[str] | None = None,
    ) -> None:
        """`node_client` makes a client from the host and port that a discovery has found.

        `find_s` is how long a first call waits for it. `errors` counts the servers', by code.
        """
        self._one = None if isinstance(place, Discovery) else place
        self._routes = Routes(place, node_client) if isinstance(place, Discovery) else None
        self._find_s = find_s
        self._errors = Counter() if errors is None else errors

    @property
    def clustered(self) -> bool:
        """Whether the partitions lie on several servers."""
        return self._routes is not None and self._routes.clustered

    @property
    def routed(self) -> bool:
        """Whether a discovery says where the servers are."""
        return self._routes is not None

    def server(self, slot: int) -> Server:
        """Where a slot's server is, as far as is known now."""
        return self._routes.address(slot) if self._routes is not None else None

    async def run(self, calls: Sequence[Call | Plain], wait: Wait | None = None) -> list[Any]:
        """Every call's reply, in order, and after them each node's `Wait.holds`.

        Raises Unavailable, WrongKey or redis' ResponseError of the first call that failed.
        """
        replies = await self.attempt(calls, wait)
        for reply in replies:
            raised(reply)
        return replies

    async def attempt(self, calls: Sequence[Call | Plain], wait: Wait | None = None) -> list[Any]:
        """As `run`, with the error in its place where a server refused a call.

        Raises Unavailable where a server does not answer at all.
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
                if any(isinstance(reply, AskError) for reply in got):
                    safe += await self._go_ahead(indexes, commands, replies, wait)
                again = [i for i in indexes if self._again(replies[i], attempt)]
                failed += again
                if wait and len(again) < len(indexes):
                    safe.append(_holds(wait, got[len(indexes) :]))
            if not failed:
                break
            await self._mend([replies[index] for index in failed])
            pending = failed
        return [*replies, *safe] if wait else replies

    async def _go_ahead(
        self,
        indexes: list[int],
        commands: Sequence[_Command],
        replies: list[Any],
        wait: Wait | None,
    ) -> list[bool]:
        """What `Wait.holds` says of calls that are made where their keys have moved to.

        A server from which a slot is on its way sends us on for what has left it. Functions with
        keys on both sides are refused by both, until all have arrived.
        """
        safe: list[bool] = []
        for index in indexes:
            node = self._routes.ahead(replies[index]) if self._routes is not None else None
            if node is None:
                continue
            sent = [("ASKING",), commands[index], *(wait.commands() if wait else [])]
            _, replies[index], *held = await self._pipeline(node, sent)
            if function_missing(replies[index]):
                await _load(node)
            elif wait:
                safe.append(_holds(wait, held))
        return safe

    async def keyed(
        self, key: str, commands: Sequence[tuple[Any, ...]], wait: Wait | None = None
    ) -> list[Any]:
        """The replies to plain commands on one key, sent in one go to the server that owns it.

        They are few and small (keys, leases, lists that are disabled), and what stops harm is
        among them: so they also work where the server's memory is full. With `wait`,
        raises NotDurable where they are not known to be safe.
        """
        got = await self.run([Plain(key, whatever_memory(words)) for words in commands], wait)
        if not all(got[len(commands) :]):
            raise NotDurable("what was written is not known to be safe")
        return got[: len(commands)]

    async def hash(self, key: str) -> dict[bytes, bytes]:
        """All of one hash."""
        (flat,) = await self.keyed(key, [("HGETALL", key)])
        return pairs(flat)

    async def on_partitions(self, commands: Sequence[tuple[int, tuple[Any, ...]]]) -> list[Any]:
        """The replies to plain commands, each on a key of the partition named beside it."""
        return await self.run([Plain(keys.META[partition], words) for partition, words in commands])

    async def subscribed(self, *channels: str) -> AsyncIterator[tuple[str, bytes]]:
        """Channel and message of each, until the connection breaks: then Unavailable."""
        node = secrets.choice(await self.masters())  # any may be lost, and is known later
        with translated(node):
            async with aclosing(messages(node, *channels)) as heard:
                async for message in heard:
                    yield message

    async def masters(self) -> list[redis.asyncio.Redis]:
        """A client for every server that owns partitions; raises Unavailable where none does."""
        if self._one is not None:
            return [self._one]
        routes = await self._known()
        owned = [slot for slot in SLOTS if routes.address(slot) is not None]
        return list(dict.fromkeys(map(routes.client, owned or SLOTS)))

    async def load_library(self) -> None:
        """Load our functions on every server, beside those of other versions.

        One that does not answer keeps the others from nothing. Raises Unavailable where none does.
        """
        loading = [_load(node) for node in await self.masters()]
        failed = [each for each in await asyncio.gather(*loading, return_exceptions=True) if each]
        lasting = [each for each in failed if not isinstance(each, Unavailable)]
        if lasting or len(failed) == len(loading):
            raise [*lasting, *failed][0]

    async def close(self) -> None:
        """Close all connections."""
        if self._one is not None:
            await close_client(self._one)
        if self._routes is not None:
            await self._routes.close()

    async def _split(self, calls: Sequence[Call | Plain], indexes: Sequence[int]) -> _Groups:
        if self._one is not None:
            return {self._one: list(indexes)}
        routes = await self._known()
        groups: _Groups = {}
        for index in indexes:
            groups.setdefault(routes.client(calls[index].slot), []).append(index)
        return groups

    async def _known(self) -> Routes:
        """The routes, as they are known now; raises Unavailable where there is nothing yet."""
        routes = cast("Routes", self._routes)
        if not routes.known:
            await routes.find(self._find_s)
        return routes

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
        """The raw replies of one server; one that fails may have a successor."""
        try:
            with translated(node):
                got = await exchange(node, commands, bite_bytes)
        except (Unavailable, asyncio.CancelledError) as exc:
            if self._routes is not None:
                self._routes.failed(node)
            if isinstance(exc, Unavailable):
                self._errors[error_label(exc)] += 1
            raise
        failed = [reply for reply in got if isinstance(reply, Exception)]
        for reply in failed:
            reply.add_note(where(node))
            self._errors[error_label(reply)] += 1
        if self._routes is not None and failed:
            self._routes.heed(node, got)
        return got

    def _again(self, reply: object, attempt: int) -> bool:
        if attempt == TRIES - 1 or not isinstance(reply, Exception):
            return False
        return function_missing(reply) or (self._routes is not None and sent_on(reply))

    async def _mend(self, replies: Sequence[Exception]) -> None:
        """Do what can be done before the next try."""
        if any(map(function_missing, replies)):
            await self.load_library()
        if any(error_code(reply) in _SOON for reply in replies):
            await asyncio.sleep(PAUSE_S)


async def _load(node: redis.asyncio.Redis) -> None:
    with loading(), translated(node):
        await node.function_load(library().code, replace=True)


def _holds(wait: Wait, replies: Sequence[Any]) -> bool:
    return not any(isinstance(reply, Exception) for reply in replies) and wait.holds(replies)
