"""One service process's inner parts on a test's server, without HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from roster.documents.identity import Document, Token, normalise
from roster.documents.tokeniser import Tokeniser
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import BIND, Content, Op, Provenance
from roster.records.record import provenance_tail
from roster.redis.calls import Wait
from roster.redis.nodes import Nodes
from roster.rules.lists import load_lists
from roster.storage.dictionary import Dictionary
from roster.storage.processes import Processes
from roster.storage.snapshots import Snapshot, SnapshotMerge
from roster.storage.store import Store
from service.deciding.lookups import Lookups
from service.deciding.screening import Desk
from service.following.announcing import Announcer
from service.following.follower import Follower
from service.following.screener import Screener
from service.following.share import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from roster.records.replies import Applied
    from tests.servers import Server

KEY = bytes(range(32))
WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)
EMPTY_FILTER_SX = 1
DAY_MS = 86_400_000


class Parts(msgspec.Struct):
    """What a process consists of; `store` is for the test's own changes."""

    store: Store
    tokeniser: Tokeniser
    screener: Screener
    follower: Follower
    desk: Desk
    dictionary: Dictionary
    processes: Processes

    def token(self, number: str) -> Token:
        document = Document(type="resident_id", number=number)
        return self.tokeniser.token(normalise(document).number)

    async def change(
        self, number: str, op: Op, revision: int, content: Content | None = None, code: int = 1
    ) -> Applied:
        token = self.token(number)
        content = content or Content("case/1")
        packed = pack_content(content, {})
        change = Change(
            token,
            code,
            op,
            revision,
            self.tokeniser.entry_hash(code, content.entry_id),
            packed,
            self.tokeniser.digest(token, code, packed),
            provenance_tail(Provenance("api", "test")),
        )
        (applied,) = await self.store.apply([change], WAIT)
        return applied

    async def bind(self, numbers: Sequence[str], op: Op, revision: int) -> None:
        tokens = {number: self.token(number) for number in numbers}
        for number in numbers:
            others = tuple(sorted(set(tokens.values()) - {tokens[number]}))
            await self.change(number, op, revision, Content("bound", tokens=others), BIND)

    async def cover(self, code: int = 1, as_of: int = 1) -> None:
        """An empty full file of one list, so that the list is covered."""
        await cover(self.store, code, as_of)


async def cover(store: Store, code: int = 1, as_of: int = 1) -> None:
    from roster.filter import TokenFilter

    merging = SnapshotMerge(store, Snapshot(bytes((code,)), as_of, "n", 30 * DAY_MS))
    begun = await merging.begin(range(64))
    for one in begun:
        await merging.finish(one.position, TokenFilter().to_bytes())


def client(server: Server, timeout_s: float) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(
        unix_socket_path=str(server.socket),
        protocol=2,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


def _nodes(link: redis.asyncio.Redis) -> Nodes:
    return Nodes(link, lambda _host, _port: link)


@asynccontextmanager
async def process(
    server: Server,
    *,
    fresh_ms: int = 3_000,
    name: str = "p1",
    key: bytes = KEY,
    listener: Listener = Listener(),  # noqa: B008 -- it never changes
) -> AsyncIterator[Parts]:
    """A process that does not follow by itself: the test polls, or runs `follower.run`."""
    links = [client(server, timeout) for timeout in (0.1, 2.0, 2.0)]
    check, change, follow = (_nodes(link) for link in links)
    tokeniser = Tokeniser(key)
    store = Store(change, tokeniser.check_value)
    screener = Screener(frozenset({1}), fresh_ms, 900)
    following = Store(follow, tokeniser.check_value)
    announcer = Announcer(following, screener, (name, "host"))
    follower = Follower(following, screener, announcer, None, listener)
    dictionary = Dictionary(change)
    lookups = Lookups(Store(check, tokeniser.check_value), screener, dictionary, 100)
    desk = Desk(screener, follower, lookups, tokeniser, load_lists(None))
    try:
        yield Parts(store, tokeniser, screener, follower, desk, dictionary, Processes(change))
    finally:
        desk.lookups.close()
        for link in links:
            await link.aclose()


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """The process follows the logs by itself meanwhile."""
    task = asyncio.create_task(parts.follower.run())
    try:
        async with asyncio.timeout(5):
            while not parts.screener.fresh:  # noqa: ASYNC110 -- another task makes it so
                await asyncio.sleep(0.005)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
