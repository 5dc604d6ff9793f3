"""`wait: all` holds across fail-overs, lost branches of the log and clocks that step."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from roster.errors import NotDurable, Unavailable
from roster.records.change import Change
from roster.records.entry import Op
from roster.redis.calls import Wait
from roster.storage.processes import NOTHING, Process, Processes
from roster.storage.store import Store
from service.changing.propagation import Confirmer
from service.following.announcing import Announcer
from service.following.follower import Follower
from service.following.screener import Screener
from tests.faults.clusters import HOST, QUICK, SAFE, folder, nodes_of
from tests.faults.test_following import LIST, following, load_nothing, put, token
from tests.faults.world import Cut
from tests.rosters import CHECK, opened
from tests.servers import Server, eventually, free_port
from tests.service.rosters import desk, edit
from tests.service.test_processes import aged, ids, listed, set_list

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from roster.records.position import Position


class Pair(NamedTuple):
    """A primary whose replica, with a replica of its own, is behind a proxy."""

    old_port: int
    new_port: int
    new: Server
    cut: Cut


@contextmanager
def pair(binary: str) -> Iterator[Pair]:
    with ExitStack() as stack:

        def server(**more: str) -> tuple[Server, int]:
            port = free_port()
            settings = {**QUICK, **SAFE, "port": str(port), **more}
            made = Server(binary, stack.enter_context(folder()), settings)
            stack.callback(made.kill)
            made.start()
            return made, port

        old, old_port = server()
        cut = Cut(old_port)
        stack.callback(cut.close)
        new, new_port = server(replicaof=f"{HOST} {cut.port}")
        third, _ = server(replicaof=f"{HOST} {new_port}")
        with old.client() as client:
            eventually(lambda: _online(client.info("replication")))
        with third.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up")
        yield Pair(old_port, new_port, new, cut)


def _online(said: object) -> bool:
    return isinstance(said, dict) and said.get("slave0", {}).get("state") == "online"


@asynccontextmanager
async def store_at(port: int) -> AsyncIterator[Store]:
    nodes = nodes_of(f"redis://{HOST}:{port}")
    try:
        yield Store(nodes, CHECK)
    finally:
        await nodes.close()


async def polling(follower: Follower) -> None:
    while True:
        await follower.poll()
        await asyncio.sleep(0.05)


async def refused(store: Store) -> None:
    """Nothing, once the server has been without its replica for too long."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.tails({7: None}, {})
            except Unavailable:
                return
            await asyncio.sleep(0.02)


async def acknowledged(store: Store, change: Change) -> Position:
    """The position of a change that is safe on a replica; asked again until it is."""
    async with asyncio.timeout(15):
        while True:
            try:
                (done,) = await store.apply([change], Wait(aof=True, replicas=1, timeout_ms=2_000))
            except (Unavailable, NotDurable):
                await asyncio.sleep(0.01)
                continue
            return done.position


async def test_wait_all_waits_for_a_process_at_a_primary_that_was_cut_off(
    valkey_binary: str,
) -> None:
    with pair(valkey_binary) as servers:
        async with store_at(servers.old_port) as here, store_at(servers.new_port) as there:
            await load_nothing(here)
            screener = Screener(frozenset({LIST}), 3_000, 900)
            announcer = Announcer(here, screener, ("P", "here"), replicas=1)
            follower = Follower(here, screener, announcer)
            async with asyncio.timeout(15):
                while not screener.fresh:
                    await follower.poll()
            task = asyncio.create_task(polling(follower))
            watching = Processes(here.nodes)
            assert [process.id for process in await watching.live()] == ["P"]
            servers.cut.tell("silence")
            await refused(here)
            with servers.new.client() as client:
                client.execute_command("REPLICAOF", "NO", "ONE")
            change = Change(token(7), LIST, Op.PUT, 10, bytes(6), b"content")
            position = await acknowledged(there, change)
            watching._nodes = there.nodes  # as its discovery would tell it
            told = await Confirmer(there, watching).confirmed([position], 10_000)
            assert told["missing"] == []
            assert screener.may_be_listed(token(7)) or not screener.fresh
            task.cancel()
            await asyncio.wait([task])


async def test_a_process_is_not_fresh_by_a_list_that_no_replica_has(valkey: Server) -> None:
    async with following(valkey) as (_, screener, follower):
        follower._announcer._replicas = 1
        screener.news.fresh_ms = 300
        async with asyncio.timeout(5):
            while screener.fresh:
                assert not await follower.poll()
        assert not screener.news.all_expired


async def test_a_position_on_a_lost_branch_confirms_nothing(valkey: Server) -> None:
    async with opened(valkey) as store:
        await load_nothing(store)
        processes = Processes(store.nodes)
        position = await put(store, 7, 10)
        applied = bytearray(NOTHING)
        lost = position._replace(seq=position.seq + 1, mark=b"lost")
        applied[7 * 14 : 8 * 14] = lost.wire
        await processes.announce(Process("ahead", "there", 3_000, bytes(applied), beat=1))
        confirmer = Confirmer(store, processes)
        assert (await confirmer.confirmed([position], 20))["missing"] == ["ahead"]
        await put(store, 7, 20, n=2)  # another change has the lost one's place now
        assert (await confirmer.confirmed([position], 20))["missing"] == ["ahead"]
        applied[7 * 14 : 8 * 14] = (await put(store, 7, 30, n=3)).wire
        await processes.announce(Process("ahead", "there", 3_000, bytes(applied), beat=2))
        assert (await confirmer.confirmed([position], 20))["confirmed"] == ["ahead"]


@pytest.mark.parametrize("step_ms", [5_000, -5_000])
async def test_a_servers_clock_that_steps_neither_kills_nor_keeps_a_process(
    valkey: Server, step_ms: int
) -> None:
    async with opened(valkey) as store:
        others, mine = Processes(store.nodes), Processes(store.nodes)
        for beat in (1, 2):
            await others.announce(Process("P", "there", 500, NOTHING, beat=beat))
            set_list(valkey, aged(listed(valkey), step_ms))
            assert await ids(mine) == ["P"]
        started = time.monotonic()
        async with asyncio.timeout(5):
            while await ids(mine):  # noqa: ASYNC110 -- it becomes old by itself
                await asyncio.sleep(0.01)
        assert time.monotonic() - started > 0.9
        assert listed(valkey) == {}


async def test_all_who_wait_at_once_share_one_look_at_the_list(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        for n in range(19):
            dead = Process(f"dead{n}", "there", 3_000, NOTHING, beat=1)
            await api.service.processes.announce(dead)
        with valkey.client() as client:
            client.config_resetstat()
            changes = [
                api.change(edit("put", 100 + n, entry_id=f"e/{n}"), wait="all", timeout_ms=1_000)
                for n in range(50)
            ]
            answers = await asyncio.gather(*changes)
            stats: dict[str, dict[str, int]] = client.info("commandstats")
        assert all(len(answer["processes"]["missing"]) == 19 for answer in answers)
        assert stats["cmdstat_hvals"]["calls"] < 100


async def test_wait_all_is_answered_within_milliseconds(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        took = []
        for n in range(20):
            started = time.monotonic()
            answer = await api.change(edit("put", 100 + n), wait="all")
            took.append(time.monotonic() - started)
            assert answer["processes"]["missing"] == []
        assert sorted(took)[10] < 0.1
