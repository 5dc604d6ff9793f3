from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from roster.errors import NotDurable, Unavailable
from roster.keys import PARTITIONS
from roster.records.entry import Registers
from roster.redis.discovery import FORGET_S
from tests.faults.clusters import SERVICE, Sentinels, folder, plain, sentinels
from tests.faults.test_cluster import SAFE, in_time, opened, put, registers, remove, token
from tests.faults.test_guarantees import Client
from tests.faults.world import World
from tests.servers import eventually

if TYPE_CHECKING:
    from roster.storage.store import Store

__all__ = ["sentinels"]

KNOWN_S = 1.0
"""How long after the sentinels know of a fail-over listed people are denied again, at most."""
BUSY_S = 2.0  # for a machine that other tests keep busy


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
        await asyncio.to_thread(eventually, lambda: dead.ask("DBSIZE") > 60)
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [0, 2])
async def test_a_silent_sentinel_costs_nobody_anything_after_a_fail_over(
    sentinels: Sentinels, number: int
) -> None:
    """The host of the primary is lost without a word, and a sentinel with it."""
    with ExitStack() as stack:
        world = World(stack, sentinels.primary.server, stack.enter_context(folder()), sentinels.url)
        world.make_key()
        process = world.add_process()
        world.all_looked()
        assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
        world.all_ready()
        client = Client(world)
        await client.change("put", (1001, "sx", "1"), wait="all")
        lost = sentinels.primary
        others = stack.enter_context(sentinels.silent(number))
        lost.server.pause()
        stack.callback(lost.server.resume)
        await asyncio.to_thread(
            eventually, lambda: all(sentinels.says(port) != lost.port for port in others)
        )
        known = time.monotonic()
        while (await client.decide(process, 1001))["decision"] != "deny":
            assert time.monotonic() - known < KNOWN_S + BUSY_S
            await asyncio.sleep(0.02)
        status, _ = await client.try_change("put", (1003, "sx", "1"))
        assert status == 200
        asked = [await client.decide(process, 1001) for _ in range(50)]
        assert {answer["decision"] for answer in asked} == {"deny"}
        listed = await asyncio.to_thread(world.run, "keys", "list")
        assert listed.returncode == 0, listed.stderr


async def test_without_any_sentinel_everything_goes_on(sentinels: Sentinels) -> None:
    async with opened(sentinels.url) as store, opened(sentinels.url, 100) as checks:
        await store.apply([put(7, 10)], SAFE)
        assert await registers(checks, token(7)) is not None  # it has found the primary
        with sentinels.silent(0), sentinels.silent(1), sentinels.silent(2):
            until = time.monotonic() + FORGET_S + 1
            while time.monotonic() < until:
                assert await registers(checks, token(7)) is not None
                await asyncio.sleep(0.05)
            await store.apply([remove(7, 20)], SAFE)


async def test_a_primary_that_is_replaced_on_purpose_is_left_at_once(
    sentinels: Sentinels,
) -> None:
    async with opened(sentinels.url) as store, opened(sentinels.url, 100) as checks:
        await store.apply([put(7, 10)], SAFE)
        old = sentinels.primary
        with plain(sentinels.ports[1]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        refused_at = answered_at = time.monotonic()
        while sentinels.primary is old or answered_at < refused_at:
            try:
                assert await registers(checks, token(7)) == Registers(listed_at=10)
                answered_at = time.monotonic()
            except Unavailable:
                refused_at = time.monotonic()
                assert refused_at - answered_at < KNOWN_S + BUSY_S
            await asyncio.sleep(0.005)
        await in_time(lambda: store.apply([remove(7, 20)], SAFE))


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
