"""Two rosters on one server, or one data folder before two: nothing of one is the other's."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roster import keys
from roster.records.position import HighWater, Position
from roster.settings import read_settings
from roster.storage.doorbell import parse
from roster.storage.high_water import marks_file, read_marks
from roster.storage.store import Store
from tests.faults.test_following import put
from tests.rosters import opened
from tests.service.apps import started
from tests.service.parts import cover, process
from tests.service.rosters import LISTED, OTHER, Desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.servers import Server

ONE_KEY, OTHER_KEY = "ab" * 32, "cd" * 32
HEX = set("0123456789abcdef")


@asynccontextmanager
async def desk_at(url: str, folder: Path, key: str = ONE_KEY) -> AsyncIterator[Desk]:
    """The API of a ready process at this address; list sx is covered."""
    settings = {
        "CLEARWAY_REDIS_URL": url,
        "CLEARWAY_DATA_DIR": str(folder),
        "CLEARWAY_ID_KEY": key,
        "CLEARWAY_REDIS_TIMEOUT_MS": "1000",
    }
    async with started(read_settings(settings)) as (app, client):
        desk = Desk(client, app.state.service)
        metas = await desk.service.changes_store.metas()
        if not all(meta.covered for meta in metas):
            await cover(desk.service.changes_store)
        await until(desk, ready=True)
        yield desk


async def until(desk: Desk, *, ready: bool) -> None:
    async with asyncio.timeout(10):
        while desk.service.screener.ready is not ready:  # noqa: ASYNC110 -- the follower makes it so
            await asyncio.sleep(0.01)


async def added(desk: Desk, count: int) -> None:
    """So many people are listed, all partitions among theirs."""
    changes = [
        edit("put", document={"type": "passport", "issuer": "CHN", "number": f"E{n:08d}"})
        for n in range(count)
    ]
    await desk.change(*changes, wait="all")


async def degraded(desk: Desk) -> list[str]:
    told: list[str] = (await desk.client.get("/readyz")).json()["degraded"]
    return told


def ids(server: Server) -> set[bytes]:
    """What key and partitions say the roster is."""
    with server.client() as link:
        told = {link.hget(name, "roster") for name in keys.META} | {link.get(keys.ROSTER)}
    return {bytes(each) for each in told if each is not None}


async def test_a_roster_has_one_random_id_and_another_after_a_flush(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk_at(valkey.url, tmp_path) as desk:
        (first,) = ids(valkey)
        assert len(first) == 16
        assert set(first.decode()) <= HEX
        with valkey.client() as link:
            link.flushall()
        await until(desk, ready=False)
        async with asyncio.timeout(5):
            while not ids(valkey) - {first}:  # noqa: ASYNC110 -- the follower makes it so
                await asyncio.sleep(0.01)
        await cover(desk.service.changes_store)
        await until(desk, ready=True)
        (second,) = ids(valkey)
        assert second != first
        assert desk.service.screener.roster == second


async def test_a_change_founds_no_partition_of_a_roster_that_is_gone(valkey: Server) -> None:
    async with opened(valkey) as one:
        two = Store(one.nodes, one.check_value)
        for reads_first in (True, False):
            await put(one, 3, 5)
            await put(two, 4, 5)
            (before,) = ids(valkey)
            with valkey.client() as link:
                link.flushall()
            if reads_first:
                await one.roster_id.read()
            await put(two, 5, 5)
            await put(one, 6, 5)
            (after,) = ids(valkey)
            assert after != before


async def test_a_flush_while_changes_come_leaves_one_roster(valkey: Server, tmp_path: Path) -> None:
    async with (
        desk_at(valkey.url, tmp_path / "a") as one,
        desk_at(valkey.url, tmp_path / "b") as two,
    ):
        stores = [desk.service.changes_store for desk in (one, two)]
        (first,) = ids(valkey)
        async with asyncio.TaskGroup() as group:
            writing = [group.create_task(keep_writing(store)) for store in stores]
            with valkey.client() as link:
                link.flushall()
            for desk in (one, two):
                async with asyncio.timeout(10):
                    while desk.service.screener.roster in {first, b""}:  # noqa: ASYNC110 -- the follower makes it so
                        await asyncio.sleep(0.01)
            for task in writing:
                task.cancel()
        await cover(stores[0])
        for desk in (one, two):
            await until(desk, ready=True)
        (second,) = ids(valkey)
        assert {desk.service.screener.roster for desk in (one, two)} == {second} != {first}


async def test_where_partitions_differ_the_key_says_which_roster_it_is(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk_at(valkey.url, tmp_path) as desk:
        (first,) = ids(valkey)
        with valkey.client() as link:
            for name in keys.META[:40]:  # as a version of before does it, which was late
                link.hset(name, "roster", b"0123456789abcdef")
        for _ in range(3):
            await desk.service.follower.poll()
        assert desk.service.screener.roster == first


async def keep_writing(store: Store) -> None:
    """Put entries into all partitions, until it is cancelled."""
    for n in itertools.count():
        await put(store, n % keys.PARTITIONS, 5, n % 250)


async def test_two_rosters_on_one_server_do_not_touch_each_other(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk_at(valkey.url, tmp_path / "a") as one:
        await one.change(edit("put"), wait="all")
        async with desk_at(f"{valkey.url}?db=1", tmp_path / "b", OTHER_KEY) as two:
            with valkey.client() as link:  # far ahead in time, as a roster that is made later
                link.select(1)
                for name in keys.META:
                    link.hincrby(name, "history", 1_000)
            await added(two, 200)
            await one.service.follower.poll()
            await two.service.follower.poll()
            assert (await one.check(LISTED))["decision"] == "deny"
            assert (await one.check(OTHER))["decision"] == "allow"
            assert "rewound" not in await degraded(one)
            assert "rewound" not in await degraded(two)
            told = (await one.client.get("/v1/roster")).json()
            assert told["rewound"] == 0


async def test_one_folder_before_two_rosters_with_one_key_takes_no_marks_along(
    valkey: Server, make_server: Callable[[], Server], tmp_path: Path
) -> None:
    other, folder = make_server(), tmp_path / "data"
    async with desk_at(valkey.url, tmp_path / "production") as production:
        await production.change(edit("put"), wait="all")
        async with desk_at(other.url, folder) as test:
            with other.client() as link:
                for name in keys.META:
                    link.hincrby(name, "history", 1_000)
            await added(test, 200)
            await test.service.follower.poll()
        assert list(folder.glob("marks-*"))
        async with desk_at(valkey.url, folder) as operator:
            assert (await operator.check(LISTED))["decision"] == "deny"
            assert "rewound" not in await degraded(operator)
        assert (await production.check(LISTED))["decision"] == "deny"
        assert "rewound" not in await degraded(production)


async def test_a_process_starts_anew_where_another_roster_stands_behind_its_address(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server, other = make_server(), make_server()
    async with desk_at(other.url, tmp_path / "other") as two:
        await two.change(edit("put", document=OTHER), wait="all")
    async with desk_at(server.url, tmp_path / "one") as one:
        await one.change(edit("put"), wait="all")
        first = one.service.screener.roster
        ahead = {
            number: HighWater(Position(number, 2**31, 5, b"mark"), 0, first)
            for number in range(keys.PARTITIONS)
        }
        one.service.screener.high_water = ahead
        with server.client() as here, other.client() as there:
            here.flushall()
            names = there.keys("*")
            assert isinstance(names, list)
            for name in names:
                data = there.dump(name)
                assert data is not None
                here.restore(name, 0, data)
        async with asyncio.timeout(10):
            while one.service.screener.roster == first:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
        await until(one, ready=True)
        assert (await one.check(OTHER))["decision"] == "deny"
        assert (await one.check(LISTED))["decision"] == "allow"
        assert "rewound" not in await degraded(one)


async def test_a_roster_of_an_older_version_is_adopted_with_what_is_remembered_of_it(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk_at(valkey.url, tmp_path / "old") as desk:
        await desk.change(edit("put"), wait="all")
        (tail,) = (await desk.service.store.tails({7: None}, {})).values()
        check_value = desk.service.store.check_value
    with valkey.client() as link:  # as that version would have left it
        link.delete(keys.ROSTER)
        for name in keys.META:
            link.hdel(name, "roster")
    folder = tmp_path / "data"
    folder.mkdir()
    ahead = tail.position._replace(seq=tail.position.seq + 5)
    foreign = Position(8, tail.position.history + 5_000, 5, b"mark")
    old = b"".join(bytes((each.partition,)) + each.wire for each in (ahead, foreign))
    (folder / f"marks-{check_value.hex()}").write_bytes(old)
    async with desk_at(valkey.url, folder) as desk:
        assert len(ids(valkey)) == 1
        partitions = desk.service.screener.partitions
        assert [n for n in range(keys.PARTITIONS) if partitions[n].rewound] == [7]
        roster = desk.service.screener.roster
    assert read_marks(marks_file(folder, check_value, roster))


async def test_a_backup_without_an_id_is_the_same_roster_to_who_has_followed_it(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        (known,) = ids(valkey)
        with valkey.client() as link:
            link.delete(keys.ROSTER)
            for name in keys.META:
                link.hdel(name, "roster")
        assert await parts.follower.poll()
        assert ids(valkey) == {known}
        assert parts.screener.fresh


async def test_a_ring_is_heard_by_its_own_roster_only(any_server: Server) -> None:
    async with process(any_server) as parts:
        await parts.cover()
        own = keys.doorbell(await parts.store.roster_id.read())
        at = Position(7, 5, 3, b"mark")
        with any_server.client() as link, link.pubsub(ignore_subscribe_messages=True) as bell:
            bell.subscribe(own, keys.doorbell(b"another"))
            bell.get_message(timeout=0.1)
            await parts.processes.ring([at])
            heard = [bell.get_message(timeout=0.2) for _ in range(10)]
        told = [(message["channel"], message["data"]) for message in heard if message]
        assert [channel for channel, _ in told] == [own.encode()]
        assert list(parse(told[0][1]).positions) == [at]


async def test_a_lost_key_is_told_by_the_partitions(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        (known,) = ids(valkey)
        with valkey.client() as link:
            link.delete(keys.ROSTER)
        await parts.cover(2)
        assert ids(valkey) == {known}


async def test_a_look_up_in_another_roster_is_not_believed(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        token = parts.token("110105187912310024")
        with valkey.client() as link:
            link.hset(keys.META[token[1]], "roster", "0123456789abcdef")
        (found,) = await parts.follower._means.store.lookup(
            [(token, {})], parts.screener.high_water
        )
        assert not found.reached
