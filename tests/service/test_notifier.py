from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from roster import keys
from roster.errors import Unavailable
from roster.records.change import Change
from roster.records.entry import Op
from roster.records.position import newest
from roster.redis.calls import Wait
from roster.redis.nodes import Nodes
from roster.storage.doorbell import parse
from roster.storage.processes import Processes
from roster.storage.store import Store
from service.changing.propagation import Notifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roster.records.position import Position
    from tests.servers import Server

WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)


@asynccontextmanager
async def telling(valkey: Server) -> AsyncIterator[tuple[Store, Notifier]]:
    client = redis.asyncio.Redis(unix_socket_path=str(valkey.socket), protocol=2)
    nodes = Nodes(client, lambda _host, _port: client)
    store = Store(nodes, b"checkval")
    yield store, Notifier(store, Processes(nodes))
    await nodes.close()


async def changed(store: Store, count: int) -> list[Position]:
    changes = [
        Change(bytes((0, 7, 0, 0)) + bytes((n,)) * 12, 1, Op.PUT, 10, b"entry1", b"content")
        for n in range(count)
    ]
    return [one.position for one in await store.apply(changes, WAIT)]


async def test_what_comes_while_the_bell_rings_is_told_in_one_ring(valkey: Server) -> None:
    async with telling(valkey) as (store, notifier):
        positions = await changed(store, 5)
        with valkey.client() as client, client.pubsub() as bell:
            bell.subscribe(keys.doorbell(await store.roster_id.read()))
            assert bell.get_message(timeout=5) is not None  # it listens
            for position in positions:
                notifier.tell([position])
            await notifier.close()
            rung = bell.get_message(timeout=5)
            assert rung is not None
            assert parse(rung["data"]).positions == newest(positions)
            assert bell.get_message() is None


async def test_what_was_told_is_noted_for_who_missed_the_bell(valkey: Server) -> None:
    async with telling(valkey) as (store, notifier):
        positions = await changed(store, 2)
        notifier.tell(positions)
        await notifier.close()
        assert (await store.tails({7: None}, {}))[7].acknowledged == positions[-1]


async def test_what_could_not_be_noted_is_noted_later(valkey: Server) -> None:
    async with telling(valkey) as (store, notifier):
        positions = await changed(store, 2)
        valkey.stop()
        notifier.tell(positions)
        with pytest.raises(Unavailable):
            await notifier.close()
        valkey.start()
        await notifier.note()
        assert (await store.tails({7: None}, {}))[7].acknowledged == positions[-1]
