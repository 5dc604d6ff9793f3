"""A server that stands still: for a moment, which every check waits out, and for long."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.service.rosters import LISTED, desk, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.servers import Server
    from tests.service.rosters import Desk

CALLERS = 8


class Told(NamedTuple):
    """One check: when it was asked, how long it took, and what was decided."""

    asked_s: float
    took_s: float
    decision: str


class Stall(NamedTuple):
    """From when to when the server stood still."""

    began_s: float
    ended_s: float


@asynccontextmanager
async def asking(api: Desk) -> AsyncIterator[list[Told]]:
    """What callers are told meanwhile, each of whom asks about somebody listed on and on."""
    told: list[Told] = []
    await api.change(edit("put"), wait="all")

    async def caller() -> None:
        while True:
            asked = time.monotonic()
            answer = await api.check(LISTED)
            told.append(Told(asked, time.monotonic() - asked, answer["decision"]))
            await asyncio.sleep(0)  # an answer that waits for nothing gives nobody else a turn

    callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
    try:
        async with asyncio.timeout(10):
            while not told:  # noqa: ASYNC110 -- the callers' doing
                await asyncio.sleep(0.005)
        yield told
    finally:
        for each in callers:
            each.cancel()
        await asyncio.wait(callers)
    for each in callers:
        assert each.cancelled(), each.exception()


async def stall(server: Server, told: list[Told], for_s: float) -> Stall:
    """The server stands still for a while, and has answered again."""
    began = time.monotonic()
    server.pause()
    try:
        await asyncio.sleep(for_s)
    finally:
        server.resume()
    ended = time.monotonic()
    async with asyncio.timeout(10):
        while told[-1].decision != "deny" or told[-1].asked_s < ended:  # noqa: ASYNC110 -- the callers' doing
            await asyncio.sleep(0.005)
    return Stall(began, ended)


async def test_nobody_is_referred_for_a_stall_shorter_than_a_check_may_wait(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = make_server()
    async with desk(server, tmp_path, redis_timeout_ms="400") as api, asking(api) as told:
        for _ in range(4):
            await stall(server, told, 0.15)
    assert {each.decision for each in told} == {"deny"}
    assert max(each.took_s for each in told) > 0.1


async def test_a_stall_longer_than_a_check_may_wait_opens_no_circuit(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    """Whoever is referred has waited: the next check may be answered."""
    server = make_server()
    async with desk(server, tmp_path, redis_timeout_ms="50") as api, asking(api) as told:
        stalls = [await stall(server, told, 0.3) for _ in range(3)]
    for each in stalls:
        referred = [
            one
            for one in told
            if one.decision == "refer" and each.began_s <= one.asked_s + one.took_s < each.ended_s
        ]
        assert referred
        assert min(one.took_s for one in referred if one.asked_s < each.began_s + 0.45) > 0.04


async def test_who_asks_a_server_that_is_long_silent_is_referred_at_once(
    make_server: Callable[[], Server], tmp_path: Path
) -> None:
    server = make_server()
    async with desk(server, tmp_path, redis_timeout_ms="200") as api, asking(api) as told:
        stood = await stall(server, told, 2.0)
    silent = [each for each in told if stood.began_s < each.asked_s < stood.ended_s - 0.5]
    assert {each.decision for each in silent} == {"refer"}
    assert max(each.took_s for each in silent) < 1
    late = [each for each in silent if each.asked_s > stood.ended_s - 0.8]
    waited = [each for each in late if each.took_s > 0.15]
    assert len(late) > 40
    assert len(waited) < len(late) / 10
