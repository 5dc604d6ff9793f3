"""The doorbell is answered again after a poll that failed, whatever the error was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.records.entry import Op
from tests.service.parts import process
from tests.service.test_screening import LISTED as NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Server


@pytest.mark.parametrize("error", [RuntimeError(), Unavailable("no answer")])
async def test_a_failed_poll_leaves_the_bell_answered_and_tells_who_waits(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        assert await parts.follower.poll()
        applied = await parts.change(NUMBER, Op.PUT, 10)
        number = applied.position.partition
        (share,) = parts.follower._shares.values()
        announcer, announced = share._means.announcer, asyncio.Event()
        tails, announce, failed = share._catch_up.tails, announcer.announce, 0

        async def once_broken(numbers: Sequence[int]) -> Any:  # noqa: ANN401 -- as the real one
            nonlocal failed
            if not failed:
                failed += 1
                raise error
            return await tails(numbers)

        async def heard(numbers: Sequence[int]) -> None:
            await announce(numbers)
            announced.set()

        monkeypatch.setattr(share._catch_up, "tails", once_broken)
        monkeypatch.setattr(announcer, "announce", heard)
        answering = asyncio.create_task(share._answer_the_bell())
        try:
            share.ring({number}, wanted=True)
            async with asyncio.timeout(10):
                await announced.wait()
        finally:
            answering.cancel()
            await asyncio.wait([answering])
        assert failed == 1
        (stated,) = await parts.processes.live()
        assert stated.at(number) == applied.position
