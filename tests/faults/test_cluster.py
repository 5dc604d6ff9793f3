from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from roster.errors import NotDurable, Unavailable
from roster.keys import PARTITIONS
from roster.records.change import Change
from roster.records.entry import Op, Outcome, Registers
from roster.records.record import split_record
from roster.redis.calls import SLOTS, Wait
from roster.storage.processes import SLACK_MS, Process, Processes
from roster.storage.store import Store
from tests.faults.clusters import HOST, Cluster, Member, cluster, nodes_of
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["cluster"]

T = TypeVar("T")
CHECK = b"checkval"
SAFE = Wait(aof=True, replicas=1, timeout_ms=2_000)
LIST = 1
ENTRY = bytes(6)
TIMEOUT_MS = 50
BUSY_MS = 50  # for a machine that other tests keep busy


def token(partition: int, n: int = 1) -> bytes:
    return bytes((0, partition)) + (n % 1024).to_bytes(2) + n.to_bytes(12)


def put(partition: int, revision: int, n: int = 1) -> Change:
    return Change(token(partition, n), LIST, Op.PUT, revision, ENTRY, b"content")


def remove(partition: int, revision: int, n: int = 1) -> Change:
    return Change(token(partition, n), LIST, Op.REMOVE, revision, ENTRY, b"content", lenient=True)


@asynccontextmanager
async def opened(url: str, timeout_ms: int | None = None) -> AsyncIterator[Store]:
    nodes = nodes_of(url, timeout_ms)
    try:
        yield Store(nodes, CHECK)
    finally:
        await nodes.close()


async def registers(store: Store, wanted: bytes) -> Registers | None:
    (found,) = await store.lookup([(wanted, {})], {})
    entries = split_record(found.record)
    return Registers(*entries[0].registers) if entries else None


async def in_time(attempt: Callable[[], Awaitable[T]], timeout_s: float = 20.0) -> T:
    """What the attempt returns, once it does; it is made again while the servers refuse."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await attempt()
        except (Unavailable, NotDurable):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


async def test_changes_reach_every_partition_of_a_cluster(cluster: Cluster) -> None:
    async with opened(cluster.url) as store:
        outcomes = await store.apply([put(p, 10) for p in range(PARTITIONS)], SAFE)
        assert {one.outcome for one in outcomes} == {Outcome.APPLIED}
        found = await store.lookup([(token(p), {}) for p in range(PARTITIONS)], {})
        assert all(one.record for one in found)
        tails = await store.tails(dict.fromkeys(range(PARTITIONS)), {})
        assert {tail.position.seq for tail in tails.values()} == {1}


async def test_the_servers_are_asked_at_the_same_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(cluster.url) as store:
        servers = await store.nodes.masters()
        all_asked = asyncio.Barrier(len(servers))
        pipeline = store.nodes._pipeline

        async def together(*asked: Any) -> list[Any]:  # noqa: ANN401 -- as the nodes'
            await all_asked.wait()
            return await pipeline(*asked)

        monkeypatch.setattr(store.nodes, "_pipeline", together)
        async with asyncio.timeout(5):
            assert len(await store.tails(dict.fromkeys(range(PARTITIONS)), {})) == PARTITIONS
            assert len(await store.images(range(PARTITIONS))) == PARTITIONS


async def test_processes_are_listed_in_a_cluster(cluster: Cluster) -> None:
    async with opened(cluster.url) as store:
        processes = Processes(store.nodes)
        await processes.announce(Process("one", "here", 3_000, b""))
        await processes.announce(Process("dead", "here", -SLACK_MS - 1, b""))
        assert [process.id for process in await processes.live()] == ["one"]
        await processes.leave("one")
        assert await processes.live() == []


async def test_wait_counts_replicas_of_the_node_that_owns_the_partition(cluster: Cluster) -> None:
    async with opened(cluster.url) as store:
        await store.apply([put(p, 10) for p in range(PARTITIONS)], SAFE)
        owner = cluster.owner(SLOTS[7])
        elsewhere = next(p for p in range(PARTITIONS) if cluster.owner(SLOTS[p]) is not owner)
        cluster.members[cluster.members.index(owner) + 3].server.pause()
        brief = SAFE._replace(timeout_ms=300)
        with pytest.raises(NotDurable):
            await store.apply([put(7, 20)], brief)
        (applied,) = await store.apply([put(elsewhere, 20)], brief)
        assert applied.outcome is Outcome.APPLIED
        cluster.members[cluster.members.index(owner) + 3].server.resume()
        (again,) = await in_time(lambda: store.apply([put(7, 20)], SAFE))
        assert again.outcome is Outcome.DUPLICATE


async def test_after_a_masters_death_nothing_acknowledged_is_lost_and_changes_go_on(
    cluster: Cluster,
) -> None:
    async with opened(cluster.url) as store, opened(cluster.url, 200) as checks:
        await store.apply([put(p, 10) for p in range(PARTITIONS)], SAFE)
        assert await registers(checks, token(7)) == Registers(listed_at=10)
        dead = cluster.owner(SLOTS[7])
        dead.server.kill()
        with pytest.raises((Unavailable, NotDurable)):
            await store.apply([remove(7, 20)], SAFE._replace(timeout_ms=200))
        lost = cluster.members.index(dead)
        others = [p for p in range(PARTITIONS) if SLOTS[p] * 3 // 16_384 != lost]
        outcomes = await store.apply([put(p, 30) for p in others], SAFE)
        assert len(outcomes) == len(others)
        assert await in_time(lambda: registers(checks, token(7))) is not None
        assert await in_time(lambda: registers(store, token(7))) is not None
        # The promoted one has no replica left, so nothing is acknowledged with one.
        with pytest.raises(NotDurable):
            await store.apply([remove(7, 20)], SAFE._replace(timeout_ms=100))
        dead.server.start()
        await in_time(lambda: store.apply([remove(7, 20)], SAFE))
        assert (await registers(checks, token(7))) == Registers(listed_at=10, removed_at=20)
        found = await store.lookup([(token(p), {}) for p in range(PARTITIONS)], {})
        assert all(one.record for one in found)


async def look_up_ms(checks: Store, partition: int) -> float:
    began = time.perf_counter()
    assert await registers(checks, token(partition)) == Registers(listed_at=10)
    return (time.perf_counter() - began) * 1000


@pytest.mark.parametrize("number", [0, 3])
async def test_a_silent_seed_costs_no_look_up_anything(cluster: Cluster, number: int) -> None:
    """The first node of the URL stands still: a master or a replica."""
    async with opened(cluster.url) as store:
        await store.apply([put(p, 10) for p in range(PARTITIONS)], SAFE)
    silent = cluster.members[number]
    first = f"{HOST}:{silent.port}"
    url = cluster.url.replace(f"{first},", "").replace("//", f"//{first},")
    others = [p for p in range(PARTITIONS) if not silent.owns(SLOTS[p])]
    async with opened(url, TIMEOUT_MS) as checks:
        silent.server.pause()
        took = [await look_up_ms(checks, p) for p in others for _ in range(5)]
        assert max(took) <= TIMEOUT_MS + BUSY_MS
        await asyncio.to_thread(eventually, cluster.settled_without(silent))
        lost = next((p for p in range(PARTITIONS) if p not in others), others[0])
        known = time.monotonic()
        assert await in_time(lambda: registers(checks, token(lost))) is not None
        assert time.monotonic() - known < 3
        silent.server.resume()


def migrating(cluster: Cluster, slot: int) -> tuple[Member, Member]:
    source = cluster.owner(slot)
    target = next(m for m in cluster.members[:3] if m is not source)
    cluster.begin_to_move(slot, source, target)
    return source, target


async def test_a_slot_that_moves_is_followed_and_answers_nothing_wrong_on_the_way(
    cluster: Cluster,
) -> None:
    async with opened(cluster.url) as store:
        people = [put(7, 10, n) for n in range(1, 30)]
        await store.apply(people, SAFE)
        source, target = migrating(cluster, SLOTS[7])
        cluster.move_keys(SLOTS[7], source, target, limit=15)
        seen = 0
        for change in people:
            try:
                (found,) = await store.lookup([(change.token, {})], {})
            except Unavailable:
                continue
            seen += 1
            assert found.record, "a half moved partition must refuse, not forget"
        cluster.move_keys(SLOTS[7], source, target)
        for member in (target, source):
            member.ask("CLUSTER", "SETSLOT", SLOTS[7], "NODE", target.id)
        (applied,) = await in_time(lambda: store.apply([remove(7, 20)], SAFE))
        assert applied.outcome is Outcome.APPLIED
        found_all = await store.lookup([(change.token, {}) for change in people], {})
        assert all(one.record for one in found_all)
        assert seen < len(people)


async def test_what_has_all_moved_ahead_of_its_slot_is_answered_where_it_is(
    cluster: Cluster,
) -> None:
    async with opened(cluster.url) as store:
        people = [put(7, 10, n) for n in range(1, 30)]
        await store.apply(people, SAFE)
        source, target = migrating(cluster, SLOTS[7])
        cluster.move_keys(SLOTS[7], source, target)
        for change in people:
            assert await registers(store, change.token) == Registers(listed_at=10)


async def test_a_slot_that_moves_at_once_is_followed_without_a_refusal(cluster: Cluster) -> None:
    async with opened(cluster.url) as store:
        people = [put(7, 10, n) for n in range(1, 30)]
        await store.apply(people, SAFE)
        source = cluster.owner(SLOTS[7])
        target = next(member for member in cluster.members[:3] if member is not source)
        moving = ("SLOTSRANGE", SLOTS[7], SLOTS[7], "NODE", target.id)
        source.ask("CLUSTER", "MIGRATESLOTS", *moving)
        deadline = time.monotonic() + 20
        revision = 20
        while not target.owns(SLOTS[7]):
            assert time.monotonic() < deadline
            for change in people:
                assert await registers(store, change.token) is not None
            (applied,) = await store.apply([put(7, revision := revision + 1)], SAFE)
            assert applied.outcome is Outcome.APPLIED
        for change in people:
            assert await registers(store, change.token) is not None


async def test_changes_and_look_ups_go_on_beside_a_moving_slot(cluster: Cluster) -> None:
    async with opened(cluster.url) as store:
        await store.apply([put(p, 10) for p in range(PARTITIONS)], SAFE)
        source, target = migrating(cluster, SLOTS[7])
        cluster.move_keys(SLOTS[7], source, target)
        others = [p for p in range(PARTITIONS) if p != 7]
        found = await store.lookup([(token(p), {}) for p in others], {})
        assert all(one.record for one in found)
        (applied,) = await store.apply([put(7, 20)], SAFE)
        assert applied.outcome is Outcome.APPLIED
        for member in (target, source):
            member.ask("CLUSTER", "SETSLOT", SLOTS[7], "NODE", target.id)
        tails = await in_time(lambda: store.tails(dict.fromkeys(range(PARTITIONS)), {}))
        assert {number for number, tail in tails.items() if tail.position.seq == 2} == {7}
