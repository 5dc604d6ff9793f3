from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roster.entry import Registers
from roster.errors import NotDurable, Unavailable
from roster.keys import PARTITIONS
from tests.faults.clusters import Sentinels, sentinels
from tests.faults.test_cluster import SAFE, in_time, opened, put, registers, remove, token
from tests.servers import eventually

if TYPE_CHECKING:
    from roster.store import Store

__all__ = ["sentinels"]


async def acknowledged_while_it_works(store: Store) -> list[int]:
    """Add people one by one until the primary is gone; the numbers of those acknowledged."""
    known: list[int] = []
    for n in range(1, 100_000):
        try:
            await store.apply([put(n % PARTITIONS, n, n)], SAFE._replace(timeout_ms=500))
        except (Unavailable, NotDurable):
            return known
        known.append(n)
    return known


async def test_acknowledged_changes_survive_a_fail_over(sentinels: Sentinels) -> None:
    async with opened(sentinels.url) as store:
        dead = sentinels.primary
        adding = asyncio.create_task(acknowledged_while_it_works(store))
        await asyncio.to_thread(eventually, lambda: dead.ask("DBSIZE") > 20)
        dead.server.kill()
        known = await adding
        assert len(known) > 5
        await in_time(lambda: store.apply([remove(7, 9, n=200_000)], SAFE))
        assert sentinels.primary is not dead
        for n in known:
            at = Registers(listed_at=n)
            assert await registers(store, token(n % PARTITIONS, n)) == at


async def test_a_stopped_primary_is_left_and_its_return_changes_nothing(
    sentinels: Sentinels,
) -> None:
    async with opened(sentinels.url) as store, opened(sentinels.url, 200) as checks:
        await store.apply([put(7, 10)], SAFE)
        old = sentinels.primary
        old.server.pause()
        await in_time(lambda: store.apply([remove(7, 20)], SAFE))
        removed = Registers(listed_at=10, removed_at=20)
        assert await in_time(lambda: registers(checks, token(7))) == removed
        old.server.resume()
        for _ in range(200):
            assert await in_time(lambda: registers(checks, token(7))) == removed


async def test_a_primary_without_replicas_refuses_changes_and_look_ups(
    sentinels: Sentinels,
) -> None:
    async with opened(sentinels.url) as store:
        await store.apply([put(7, 10)], SAFE)
        primary = sentinels.primary
        for member in sentinels.members:
            if member is not primary:
                member.server.pause()

        async def refused() -> bool:
            try:
                await registers(store, token(7))
            except Unavailable:
                return True
            return False

        for _ in range(500):
            if await refused():
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("a primary that is cut off still answers")
