"""The list of live processes: nobody is fresh whom a change does not wait for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from roster import keys
from roster.errors import Unavailable
from roster.records.position import Position
from roster.redis.logins import refused
from roster.storage.disabled import DisabledLists
from roster.storage.processes import NOTHING, SLACK_MS, Process, Processes
from service.following.announcing import Announcer
from service.following.follower import Follower
from service.following.screener import Screener
from service.upkeep import Chore, repeat
from tests.faults.test_following import LIST, following, put, token
from tests.rosters import opened
from tests.service.apps import settings_for, started
from tests.service.rosters import LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    import pytest

    from roster.records.replies import Polled
    from roster.redis.calls import Call, Plain
    from tests.servers import Server

HOUR_S = 3_600.0
PAGED_PER_S = 0.2
"""So many errors a second of one kind and instance is an alert (deploy/prometheus/rules.yml)."""
AT_7 = Position(7, 1, 5, b"mark")


def at(position: Position) -> bytes:
    """Applied positions: this one, and none elsewhere."""
    before, behind = bytes(14 * position.partition), bytes(14 * (63 - position.partition))
    return before + position.wire + behind


def other(beat: int = 1) -> Process:
    return Process("other", "there", 3_000, at(AT_7), beat=beat)


def listed(server: Server) -> dict[Any, Any]:
    with server.client() as client:
        found: Any = client.hgetall(keys.PROCESSES)
        return dict(found)


def set_list(server: Server, names: dict[Any, Any]) -> None:
    with server.client() as client:
        client.delete(keys.PROCESSES)
        if names:
            client.hset(keys.PROCESSES, mapping=names)


def aged(names: dict[Any, Any], by_ms: int) -> dict[Any, Any]:
    """The list as if everybody had been listed that much earlier."""
    parts = {name: value.partition(b" ") for name, value in names.items()}
    return {name: b"%d %s" % (int(at) - by_ms, rest) for name, (at, _, rest) in parts.items()}


async def ids(processes: Processes) -> list[str]:
    return [process.id for process in await processes.live()]


async def test_a_process_that_the_list_has_lost_is_waited_for_until_it_is_back(
    valkey: Server,
) -> None:
    async with opened(valkey) as store:
        mine, others = Processes(store.nodes), Processes(store.nodes)
        await others.announce(other())
        names = listed(valkey)
        await others.announce(other(2))
        (known,) = await mine.live()
        assert known.at(7) == AT_7
        for lost in ({}, names):
            set_list(valkey, lost)
            (vanished,) = await mine.live()
            assert vanished.id == "other"
            assert vanished.applied == NOTHING
        await others.announce(other(3))
        (back,) = await mine.live()
        assert back.at(7) == AT_7


async def test_a_process_that_leaves_or_dies_is_waited_for_no_longer(valkey: Server) -> None:
    async with opened(valkey) as store:
        processes = Processes(store.nodes)
        await processes.announce(other())
        await processes.announce(Process("dead", "there", -SLACK_MS - 1, b""))
        assert await ids(processes) == ["other"]
        assert set(listed(valkey)) == {b"other"}
        await processes.leave("other", 2)
        assert await processes.live() == []
        assert listed(valkey) == {}
        assert await processes.live() == []


async def test_who_is_listed_again_just_then_is_not_forgotten(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(valkey) as store:
        mine, others = Processes(store.nodes), Processes(store.nodes)
        await others.announce(other())
        set_list(valkey, aged(listed(valkey), 60_000))
        run = store.nodes.run

        async def meanwhile(calls: Sequence[Call | Plain]) -> list[Any]:
            got = await run(calls)
            monkeypatch.undo()
            await others.announce(other(2))
            return got

        monkeypatch.setattr(store.nodes, "run", meanwhile)
        assert await mine.live() == []
        assert await ids(mine) == ["other"]


async def test_a_full_server_still_lists_and_forgets(make_server: Callable[[], Server]) -> None:
    server = make_server()
    async with opened(server) as store:
        processes = Processes(store.nodes)
        with server.client() as client:
            client.config_set("maxmemory", "1")
        await processes.announce(other())
        assert await ids(processes) == ["other"]
        await processes.leave("other", 2)
        assert await ids(processes) == []
        assert listed(server) == {}


async def test_listing_works_on_the_oldest_redis(redis7: Server) -> None:
    async with opened(redis7) as store:
        processes = Processes(store.nodes)
        await processes.announce(other())
        assert await ids(processes) == ["other"]
        await processes.leave("other", 2)
        assert await ids(processes) == []


async def test_whoever_changes_something_after_a_poll_has_read_finds_it_listed(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(valkey) as (store, screener, follower):
        set_list(valkey, {})
        poll = store.poll
        meanwhile: list[str] = []

        async def then_change(*args: Any) -> Polled:  # noqa: ANN401 -- as the store's
            got = await poll(*args)
            await put(store, 7, 10)
            meanwhile.extend(await ids(Processes(store.nodes)))
            return got

        monkeypatch.setattr(store, "poll", then_change)
        assert await follower.poll()
        assert screener.fresh
        assert not screener.may_be_listed(token(7))
        assert meanwhile == ["me"]


async def test_a_poll_that_is_always_late_is_news_but_makes_nobody_fresh(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(valkey) as (store, screener, follower):
        poll, clock, passed_s = store.poll, time.clock_gettime, 0.0
        monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + passed_s)

        async def late(*args: Any) -> Polled:  # noqa: ANN401 -- as the store's
            nonlocal passed_s
            passed_s += 4.0
            return await poll(*args)

        monkeypatch.setattr(store, "poll", late)
        for _ in range(3):
            assert await follower.poll()
            assert not screener.fresh
            assert screener.news.age_ms < 5_000


async def test_who_cannot_be_listed_does_not_stay_fresh(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(valkey) as (_, screener, follower):
        age_ms = screener.news.age_ms
        refuses = "#!lua flags=allow-oom\nreturn redis.error_reply('OOM full')"
        monkeypatch.setattr("roster.storage.processes._LIST", refuses)
        assert not await follower.poll()
        assert screener.news.age_ms > age_ms


async def test_a_full_server_keeps_a_fresh_process_listed(
    make_server: Callable[[], Server],
) -> None:
    server = make_server()
    async with following(server) as (store, screener, follower):
        with server.client() as client:
            client.config_set("maxmemory", "1")
        set_list(server, {})
        assert await follower.poll()
        assert screener.fresh
        assert await ids(Processes(store.nodes)) == ["me"]
        starting = Screener(frozenset({LIST}), 3_000, 900)
        assert await Follower(store, starting, Announcer(store, starting, ("two", "here"))).poll()
        assert sorted(await ids(Processes(store.nodes))) == ["me", "two"]


async def test_nothing_is_decided_before_the_disabled_lists_are_known(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        screener = api.service.screener
        await api.outcomes(edit("put"))

        async def fails(_: DisabledLists) -> None:
            raise Unavailable("silent")

        monkeypatch.setattr(DisabledLists, "all", fails)
        screener.lists_known = False
        for document in (LISTED, OTHER):
            assert (await api.check(document))["decision"] == "refer"
        answer = await api.client.get("/readyz")
        assert answer.status_code == 503
        assert not answer.json()["conditions"]["lists"]["ok"]
        monkeypatch.undo()
        async with asyncio.timeout(5):
            while not screener.ready:  # noqa: ASYNC110 -- the chore makes it so
                await asyncio.sleep(0.005)
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_a_chore_goes_on_after_any_error() -> None:
    done = asyncio.Event()
    times = []

    async def chore() -> None:
        times.append(1)
        if len(times) == 1:
            raise ZeroDivisionError
        done.set()

    task = asyncio.create_task(repeat(Chore("chore", 0.001, chore)))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_chore_that_others_may_do_is_seldom_tried_where_its_user_may_not() -> None:
    tried: Counter[str] = Counter()

    def refusing(name: str) -> Callable[[], Awaitable[None]]:
        async def refuse() -> None:
            tried[name] += 1
            raise refused("NOPERM", "") or ZeroDivisionError

        return refuse

    chores = [Chore("own", 0.001, refusing("own")), Chore("any", 0.001, refusing("any"), HOUR_S)]
    tasks = [asyncio.create_task(repeat(chore)) for chore in chores]
    async with asyncio.timeout(10):
        while tried["own"] < 50:  # noqa: ASYNC110 -- the chore makes it so
            await asyncio.sleep(0.001)
    assert tried["any"] == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_a_process_that_only_checks_may_not_do_is_seldom_tried(
    valkey: Server, tmp_path: Path
) -> None:
    async with started(settings_for(valkey, tmp_path)) as (app, _):
        seldom = {each.name: each.refused_s for each in app.state.upkeep.chores()}
    assert {name for name, refused_s in seldom.items() if refused_s} == {"renewal", "canary"}
    workers = 16
    assert sum(workers / refused_s for refused_s in seldom.values() if refused_s) < PAGED_PER_S
