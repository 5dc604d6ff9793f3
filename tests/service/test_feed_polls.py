"""What open polls of the feed cost: nothing while they wait, and little when they are woken."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import CANARY, Content, Op, Provenance
from roster.records.record import provenance_tail
from roster.storage.api_keys import KeyStore, key_id
from service.feed import polls, turns
from service.feed.turns import ANSWERS_PER_S
from service.server.protocol import Protocol
from service.server.serving import Serving
from tests.service.apps import bearer, make_key, settings_for, started
from tests.service.parts import WAIT
from tests.service.rosters import LISTED, Desk, covered, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from roster.storage.store import Store
    from tests.servers import Server


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- nothing rings a bell for it
            await asyncio.sleep(0.005)


async def read(api: Desk, status: int = 200, **query: Any) -> Any:  # noqa: ANN401 -- JSON
    answer = await api.client.get("/v1/changes", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def fill(store: Store, each: int, code: int = 1) -> int:
    """So many changes in every partition, unlike each other."""
    content = pack_content(Content("(2018)京0105执1234号/1", case="(2018)京0105执1234号"), {})
    tail = provenance_tail(Provenance("api", "filler"))
    for base in range(0, each, 64):
        changes = [
            Change(
                bytes((0, p)) + ((base + n) % 1024).to_bytes(2) + (base + n).to_bytes(12),
                *(code, Op.PUT, 10, bytes(6), content),
                provenance=tail,
            )
            for p in range(64)
            for n in range(min(64, each - base))
        ]
        await store.apply(changes, WAIT)
    return 64 * each


def keep_nothing(api: Desk) -> None:
    """From here on every change is in Redis only."""
    log = api.service.feed.log
    log._limits, log._line = (0, 0), None


class Loop:
    """How long the event loop was kept from its turn, at worst."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def watch(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            self.worst_s = max(self.worst_s, time.perf_counter() - started - 0.001)


@asynccontextmanager
async def watched() -> AsyncIterator[Loop]:
    loop = Loop()
    task = asyncio.create_task(loop.watch())
    try:
        yield loop
    finally:
        task.cancel()


@asynccontextmanager
async def served(server: Server, folder: Path, **more: str) -> AsyncIterator[tuple[Desk, int]]:
    """The same with a port to connect to, as in production."""
    settings = settings_for(server, folder, **more | {"drain_s": "0"})
    async with started(settings) as (app, client):
        await covered(app.state.service)
        config = uvicorn.Config(app, http=Protocol, ws="none", lifespan="off", log_config=None)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            running = Serving(config, app, settings)
            task = asyncio.create_task(running.serve([listening]))
            await until(lambda: running.started)
            try:
                yield Desk(client, app.state.service), listening.getsockname()[1]
            finally:
                running.should_exit = running.force_exit = True
                await task


async def ask(port: int, key: str, query: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /v1/changes?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    writer.write(head.encode())
    return reader, writer


async def test_a_poll_of_a_client_that_hung_up_ends_at_once(valkey: Server, tmp_path: Path) -> None:
    async with served(valkey, tmp_path) as (api, port):
        key = await make_key(api.service.settings, ["feed"])
        after = (await read(api, after="now"))["position"]
        opened = [await ask(port, key, f"wait_ms=30000&after={after}") for _ in range(20)]
        await until(lambda: api.service.feed.open == 20)
        for _, writer in opened[:10]:
            writer.close()
        async with asyncio.timeout(1):
            await until(lambda: api.service.feed.open == 10)
        await api.change(edit("put"))
        for reader, writer in opened[10:]:
            assert b" 200 " in await reader.readline()
            writer.close()
        await until(lambda: api.service.feed.open == 0)


async def test_open_polls_are_capped_for_a_key_and_for_the_process(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polls, "POLLS_A_KEY", 3)
    monkeypatch.setattr(polls, "POLLS_MAX", 5)
    async with desk(valkey, tmp_path) as api:
        keys = [await make_key(api.service.settings, ["feed"]) for _ in range(3)]
        query = {"after": (await read(api, after="now"))["position"], "wait_ms": 20_000}

        async def poll(key: int) -> Any:  # noqa: ANN401 -- JSON
            return await api.client.get("/v1/changes", params=query, headers=bearer(keys[key]))

        waiting = [asyncio.create_task(poll(key)) for key in (0, 0, 0, 1, 1)]
        await until(lambda: api.service.feed.open == 5)
        refused = [await poll(0), await poll(2)]
        assert [answer.status_code for answer in refused] == [429, 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        await api.change(edit("put"))
        assert [(await each).status_code for each in waiting] == [200] * 5
        assert api.service.feed.open == 0


async def test_a_poll_of_a_key_that_is_revoked_meanwhile_tells_nothing(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        text = await make_key(api.service.settings, ["feed"])
        query = {"after": (await read(api, after="now"))["position"], "wait_ms": 20_000}
        poll = api.client.get("/v1/changes", params=query, headers=bearer(text))
        waiting = asyncio.create_task(poll)
        await until(lambda: api.service.feed.open == 1)
        nodes = api.service.changes_store.nodes
        await KeyStore(nodes, WAIT).revoke(str(key_id(text.encode())), 1)
        await api.service.access.refresh()
        await api.change(edit("put"))
        assert (await waiting).status_code == 401


async def test_polls_end_with_their_process(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        query = {"after": (await read(api, after="now"))["position"], "wait_ms": 30_000}
        waiting = [asyncio.create_task(read(api, **query)) for _ in range(60)]
        await until(lambda: api.service.feed.open == 60)
        assert b"\nclearway_feed_polls 60\n" in (await api.client.get("/metrics")).content
        async with asyncio.timeout(10):
            api.service.feed.end()
            for each in waiting:
                assert (await each)["changes"] == []


async def test_turns_come_however_late_the_loop_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LATE_S", -1.0)  # each turn is late
    queue = turns.Turns()
    async with asyncio.timeout(20):
        await asyncio.gather(*(queue.take() for _ in range(30)))


async def test_polls_that_wait_ask_redis_for_nothing(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        query = {"after": (await read(api, after="now"))["position"], "wait_ms": 20_000}
        tails = api.service.changes_store.tails
        asked: list[int] = []

        async def counted(*given: Any) -> Any:  # noqa: ANN401 -- the store's own
            asked.append(len(given[0]))
            return await tails(*given)

        monkeypatch.setattr(api.service.changes_store, "tails", counted)
        waiting = [asyncio.create_task(read(api, **query)) for _ in range(50)]
        await until(lambda: api.service.feed.open == 50)
        await api.change(edit("remove", 11))
        for each in waiting:
            assert [change["op"] for change in (await each)["changes"]] == ["remove"]
        assert asked == []


async def test_a_page_costs_what_it_gives(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        keep_nothing(api)
        total = await fill(api.service.changes_store, 200)
        await api.change(edit("put"), wait="all")
        tails = api.service.changes_store.tails
        entries: list[int] = []

        async def counted(*given: Any) -> Any:  # noqa: ANN401 -- the store's own
            got = await tails(*given)
            entries.append(sum(len(tail.logged) for tail in got.values()))
            return got

        monkeypatch.setattr(api.service.changes_store, "tails", counted)
        for limit in (1, 10, 100, 1_000):
            worst_s = []
            for _ in range(3):  # what else runs on this machine holds one up, but hardly all
                entries.clear()
                async with watched() as loop:
                    page = await api.client.get(
                        "/v1/changes", params={"after": start, "limit": limit}
                    )
                assert page.content.count(b'"applied_at"') == limit
                assert sum(entries) <= 2 * limit + 32
                worst_s.append(loop.worst_s)
            assert min(worst_s) < 0.05  # 10 ms on a machine that does nothing else
        seen, position = 0, start
        while (page := await read(api, after=position))["changes"]:
            seen += len(page["changes"])
            position = page["position"]
        assert seen == total + 1


@pytest.mark.parametrize("scope", ["list:read", "feed"])
async def test_pages_from_memory_and_from_redis_are_alike(
    scope: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_key(api.service.settings, [scope])
        start = (await read(api, after="now"))["position"]
        await fill(api.service.changes_store, 20)
        await api.service.processes.ring([])

        async def all_of_it() -> list[Any]:
            found: list[Any] = []
            position = start
            while True:
                query = {"after": position, "limit": 300}
                answer = await api.client.get("/v1/changes", params=query, headers=bearer(key))
                page = answer.json()
                if not page["changes"]:
                    return found
                found += page["changes"]
                position = page["position"]

        kept = await all_of_it()
        api.service.feed.log._stretches = [None] * 64
        api.service.feed.log._line = None
        again = await all_of_it()
        assert len(kept) == len(again) == 1280
        without = [[{**c, "position": ""} for c in found] for found in (kept, again)]
        assert sorted(without[0], key=str) == sorted(without[1], key=str)


async def test_what_is_nobodys_business_is_passed_over(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        start = (await read(api, after="now"))["position"]
        keep_nothing(api)
        await fill(api.service.changes_store, 100, CANARY)
        await api.change(edit("put"), wait="all")
        told = await read(api, after=start, limit=1)
        assert [change["op"] for change in told["changes"]] == ["put"]
        assert (await read(api, after=told["position"]))["changes"] == []


async def test_a_change_wakes_polls_in_shares(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        query = {"after": (await read(api, after="now"))["position"], "wait_ms": 20_000}
        ended: list[float] = []

        async def poll() -> None:
            await read(api, **query)
            ended.append(time.monotonic())

        async with asyncio.TaskGroup() as polls:
            for _ in range(150):
                polls.create_task(poll())
            await until(lambda: api.service.feed.open == 150)
            await api.change(edit("put"), wait="all")
            changed = time.monotonic()
            with suppress(IndexError):
                for _ in range(3):  # checks go on meanwhile
                    assert (await api.check(LISTED))["decision"] == "deny"
        assert len(ended) == 150
        assert ended[0] - changed < 0.5
        assert ended[-1] - ended[0] > 100 / ANSWERS_PER_S


async def test_what_a_slow_follower_has_not_read_is_told_nevertheless(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api, desk(valkey, tmp_path / "two") as two:
        start = (await read(api, after="now"))["position"]
        for revision in range(10, 20):
            await two.change(edit("put", revision, entry={"case": str(revision)}))
            told = (await read(api, after=start))["changes"]
            assert [change["revision"] for change in told] == list(range(10, revision + 1))
