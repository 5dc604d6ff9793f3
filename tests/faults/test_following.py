"""What a process clears while its filters are made anew, looked at in every turn of its loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from roster import keys
from roster.filter import TokenFilter
from roster.keys import FIELD
from roster.records.change import Change
from roster.records.entry import Op
from roster.redis.calls import Wait
from roster.storage.processes import Process, Processes
from roster.storage.snapshots import Snapshot, SnapshotMerge
from roster.storage.store import Store
from service.changing.propagation import Confirmer
from service.following.announcing import Announcer
from service.following.follower import Follower
from service.following.screener import Screener
from tests.rosters import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from roster.records.position import Position
    from tests.servers import Server

WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)
LIST = 1
EVERY = range(keys.PARTITIONS)


def token(partition: int, n: int = 1) -> bytes:
    return bytes((0, partition, 0, n)) + n.to_bytes(12)


async def put(store: Store, partition: int, revision: int, n: int = 1) -> Position:
    change = Change(token(partition, n), LIST, Op.PUT, revision, bytes(6), b"content")
    (applied,) = await store.apply([change], WAIT)
    return applied.position


async def load_nothing(store: Store) -> None:
    merging = SnapshotMerge(store, Snapshot(bytes((LIST,)), 1, "nonce", 1_000))
    for begun in await merging.begin(list(EVERY)):
        await merging.finish(begun.position, TokenFilter().to_bytes())


@asynccontextmanager
async def following(server: Server) -> AsyncIterator[tuple[Store, Screener, Follower]]:
    async with opened(server) as store:
        await load_nothing(store)
        screener = Screener(frozenset({LIST}), 3_000, 900)
        follower = Follower(store, screener, Announcer(store, screener, ("me", "here")))
        assert await follower.poll()
        yield store, screener, follower


async def throughout(follower: Follower, holds: Callable[[], bool]) -> None:
    """The promise holds in every turn of the loop in which a poll is under way."""
    polling = asyncio.create_task(follower.poll())
    while not polling.done():
        assert holds()
        await asyncio.sleep(0)
    assert polling.result()
    assert holds()


async def test_a_new_image_that_lags_clears_nobody_who_was_added_since(valkey: Server) -> None:
    async with following(valkey) as (store, screener, follower):
        before = await put(store, 7, 10, n=1)
        await put(store, 7, 20, n=2)
        assert await follower.poll()
        bits = TokenFilter()
        bits.add(token(7, 1))
        assert await store.set_image(before, bits.to_bytes())
        await throughout(follower, lambda: screener.may_be_listed(token(7, 2)))
        assert screener.partitions[7].image is not None


async def test_a_flush_clears_nobody_who_was_listed(valkey: Server) -> None:
    async with following(valkey) as (store, screener, follower):
        await put(store, 7, 10)
        assert await follower.poll()
        await store.nodes.keyed(keys.KEYS, [("FLUSHALL",)])
        partition = screener.partitions

        def screened() -> bool:
            return screener.may_be_listed(token(7)) or not partition[7].covered

        await throughout(follower, screened)
        assert screener.lacking == {LIST}


async def test_a_rewound_log_still_adds_who_was_added_after_the_rewind(valkey: Server) -> None:
    async with following(valkey) as (store, screener, follower):
        acknowledged = await put(store, 7, 10, n=1)
        assert await follower.poll()
        screener.acknowledge([acknowledged._replace(seq=acknowledged.seq + 5)])
        await put(store, 7, 20, n=2)
        await throughout(follower, lambda: screener.may_be_listed(token(7, 1)))
        assert screener.rewound
        assert screener.may_be_listed(token(7, 2))


async def test_a_change_after_a_rewind_does_not_pass_for_a_lost_one(valkey: Server) -> None:
    async with following(valkey) as (store, screener, follower):
        lost = await put(store, 7, 10)
        assert await follower.poll()
        lost = lost._replace(seq=lost.seq + 5)
        applied = bytearray(screener.applied)
        applied[7 * 14 : 8 * 14] = lost.wire
        processes = Processes(store.nodes)
        await processes.announce(Process("ahead", "there", 3_000, bytes(applied), beat=1))
        change = Change(token(7, 2), LIST, Op.PUT, 20, bytes(6), b"content")
        (new,) = await store.apply([change], WAIT, {7: lost})
        told = await Confirmer(store, processes).confirmed([new.position], 20)
        assert "ahead" in told["missing"]


async def test_a_process_that_missed_the_doorbell_knows_a_restored_backup_all_the_same(
    valkey: Server,
) -> None:
    async with following(valkey) as (store, screener, follower):
        position = await put(store, 7, 10)
        await store.acknowledge([position])
        assert await follower.poll()
        assert screener.high_water[7].position == position
        earlier: dict[str, int | bytes] = {"seq": position.seq - 1, "mark": bytes(4)}
        await store.nodes.keyed(keys.META[7], [("HSET", keys.META[7], *flat(earlier))])
        assert await follower.poll()
        assert screener.rewound


async def test_the_witness_of_what_a_backup_lacks_outlives_its_other_image(valkey: Server) -> None:
    async with following(valkey) as (store, screener, follower):
        await put(store, 7, 10, n=1)
        image = keys.IMAGE[7]
        with valkey.client() as client:
            backup = {image: client.dump(image), keys.META[7]: client.dump(keys.META[7])}
        lost = await put(store, 7, 20, n=2)
        bits = TokenFilter()
        bits.add_fields(token(7, 1)[FIELD] + token(7, 2)[FIELD])
        assert await store.set_image(lost, bits.to_bytes())
        assert await follower.poll()
        screener.acknowledge([lost])
        with valkey.client() as client:
            for key, data in backup.items():
                client.restore(key, 0, data, replace=True)
        for _ in range(3):
            await throughout(follower, lambda: screener.may_be_listed(token(7, 2)))
        assert screener.rewound
        assert screener.partitions[7].witnessed


async def test_a_damaged_image_is_scanned_around(valkey: Server) -> None:
    async with following(valkey) as (store, _, _):
        await put(store, 7, 10)
        with valkey.client() as client:
            client.setrange(keys.IMAGE[7], 24, bytes(40))
            client.append(keys.IMAGE[8], b"more than fits")
        starting = Screener(frozenset({LIST}), 3_000, 900)
        follower = Follower(store, starting, Announcer(store, starting, ("starting", "here")))
        for _ in range(2):
            assert await follower.poll()
        assert starting.may_be_listed(token(7))
        assert not starting.may_be_listed(token(7, 2))


async def test_a_poll_lets_no_error_out(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with following(valkey) as (store, _, follower):

        async def fails(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(store, "poll", fails)
        assert not await follower.poll()
        assert not await follower.shared_poll(1)


def flat(fields: dict[str, int | bytes]) -> list[int | bytes | str]:
    return [part for item in fields.items() for part in item]


async def test_many_may_share_polls_while_the_server_is_silent(
    make_server: Callable[[], Server],
) -> None:
    server = make_server()
    async with following(server) as (_, _, follower):
        server.pause()
        asked = [asyncio.create_task(follower.shared_poll(0.02 + n / 1000)) for n in range(40)]
        await asyncio.sleep(0.03)
        server.resume()
        assert len(await asyncio.gather(*asked)) == 40


async def test_only_one_poll_is_waited_for_while_the_server_is_silent(
    make_server: Callable[[], Server],
) -> None:
    server = make_server()
    async with following(server) as (_, screener, follower):
        screener.news.fresh_ms = 0
        server.pause()
        assert not await follower.shared_poll(0.05)
        started = time.monotonic()
        for _ in range(100):
            assert not await follower.shared_poll(0.05)
        assert time.monotonic() < started + 0.05
        server.resume()
        assert await follower.poll()
        assert await follower.shared_poll(1)


@pytest.mark.parametrize("courts", [{"甲"}, {"甲", "乙"}])
async def test_a_courts_name_is_written_again_after_a_flush(
    valkey: Server, courts: set[str]
) -> None:
    from roster.storage.dictionary import Dictionary

    async with opened(valkey) as store:
        known, later = Dictionary(store.nodes), Dictionary(store.nodes)
        await known.intern({"甲"}, WAIT)
        await store.nodes.keyed(keys.KEYS, [("FLUSHALL",)])
        await known.intern(courts, WAIT)
        await later.refresh()
        assert set(later.court_ids) == courts
