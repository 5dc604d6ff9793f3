"""What answers say of their age: as old as it was at any moment from arrival to answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from roster import times
from roster.times import format_ms
from tests.service.rosters import LISTED, OTHER, Desk, desk, edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.servers import Server

AIR = {"mode": "air"}


async def until_stale(api: Desk) -> None:
    async with asyncio.timeout(10):
        while api.service.screener.fresh:  # noqa: ASYNC110 -- it becomes old by itself
            await asyncio.sleep(0.01)


async def until_fresh(api: Desk) -> None:
    async with asyncio.timeout(10):
        while not api.service.screener.fresh:
            await api.service.follower.poll()


def batch(api: Desk, listed: int = 100) -> Any:  # noqa: ANN401 -- a coroutine of JSON
    items = [{"document": OTHER}] * 10 + [{"document": LISTED}] * listed
    return api.post("/v1/check/batch", {"items": items, "journey": AIR})


def freshened_between(api: Desk, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is back, and the process fresh, before those who may be listed are asked about."""
    ask_all = api.service.desk.ask_all

    async def then(asked: Any) -> Any:  # noqa: ANN401 -- as the desk's
        server.resume()
        await until_fresh(api)
        return await ask_all(asked)

    monkeypatch.setattr(api.service.desk, "ask_all", then)


async def test_a_batch_that_began_stale_says_so(
    make_server: Callable[[], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    async with desk(server, tmp_path, fresh_ms="500", redis_timeout_ms="50") as api:
        await api.change(edit("put"), wait="all")
        server.pause()
        await until_stale(api)
        freshened_between(api, server, monkeypatch)
        answer = await batch(api)
        assert api.service.screener.fresh
        assert answer["stale"]
        assert answer["counts"]["allow"] == 10
        assert not (await batch(api))["stale"]


async def test_a_batch_in_which_the_news_grew_old_says_so(
    make_server: Callable[[], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    async with desk(server, tmp_path, fresh_ms="500") as api:
        await api.change(edit("put"), wait="all")
        ask_all = api.service.desk.ask_all

        async def then(asked: Any) -> Any:  # noqa: ANN401 -- as the desk's
            server.pause()
            await until_stale(api)
            server.resume()
            await until_fresh(api)
            return await ask_all(asked)

        monkeypatch.setattr(api.service.desk, "ask_all", then)
        answer = await batch(api)
        assert api.service.screener.fresh
        assert answer["stale"]


async def test_a_batch_says_as_of_when_its_oldest_answer_is(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        began = api.service.screener.news.as_of_all_ms
        ask_all = api.service.desk.ask_all

        async def then(asked: Any) -> Any:  # noqa: ANN401 -- as the desk's
            async with asyncio.timeout(10):
                while min(api.service.screener.news.as_of_all_ms) <= max(began):
                    await api.service.follower.poll()
            return await ask_all(asked)

        monkeypatch.setattr(api.service.desk, "ask_all", then)
        answer = await batch(api)
        after = (await api.check(OTHER))["fresh_as_of"]
        assert format_ms(min(began)) <= answer["fresh_as_of"] < after


async def test_a_check_that_arrives_at_a_process_with_old_news_says_so(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = make_server()
    async with desk(server, tmp_path, fresh_ms="500", redis_timeout_ms="1000") as api:
        server.pause()
        await until_stale(api)
        asked = asyncio.create_task(api.check(OTHER))
        await asyncio.sleep(0)
        server.resume()
        answer = await asked
        assert (answer["decision"], answer["stale"]) == ("allow", True)
        await until_fresh(api)
        assert not (await api.check(OTHER))["stale"]


async def test_after_a_long_outage_everybody_is_referred_and_nobody_loses_a_key(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = make_server()
    terms = {"fresh_ms": "500", "serve_stale_s": "1", "redis_timeout_ms": "50"}
    async with desk(server, tmp_path, **terms) as api:
        server.pause()
        async with asyncio.timeout(10):
            while not api.service.screener.news.all_expired:  # noqa: ASYNC110 -- it becomes old by itself
                await asyncio.sleep(0.01)
        for document in (LISTED, OTHER):
            answer = await api.check(document)
            assert answer["decision"] == "refer"
            assert [reason["code"] for reason in answer["reasons"]] == ["stale"]
        standing = await api.post("/v1/standing", {"document": OTHER})
        assert standing["standing"] == "refer"
        assert "retry_after_ms" in await api.post("/v1/entries/find", {"document": OTHER}, 503)
        server.resume()


async def test_what_was_fresh_before_a_machine_was_suspended_is_not_afterwards(
    make_server: Callable[[], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server()
    async with desk(server, tmp_path, redis_timeout_ms="50", serve_stale_s="900") as api:
        await until_fresh(api)
        server.pause()
        assert not (await api.check(OTHER))["stale"]
        real = time.clock_gettime
        assert times._BOOT_CLOCK == time.CLOCK_BOOTTIME
        for slept_s, decision in ((10, "allow"), (1_000, "refer")):

            def later(which: int, slept_s: int = slept_s) -> float:
                return real(which) + slept_s * (which == time.CLOCK_BOOTTIME)

            monkeypatch.setattr(time, "clock_gettime", later)
            assert not api.service.screener.fresh
            answer = await api.check(OTHER)
            assert (answer["decision"], answer["stale"]) == (decision, True)
        server.resume()
