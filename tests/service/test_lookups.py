"""Look-ups under load: the time that this process takes itself costs nobody an answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.records.entry import Op
from roster.redis.exchange import sliced_timeout
from service.deciding.lookups import LARGEST, CircuitBreaker, Lane, LookupRequest, Lookups
from tests.service.parts import process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Server

LISTED = "110105187912310024"


def busy(seconds: float) -> None:
    """Keep the loop from its turn, as a burst of checks would."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def test_an_answer_that_lies_in_the_socket_counts_however_late_it_is_read(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        lookups = Lookups(parts.store, parts.screener, parts.dictionary, 50)
        token = parts.token(LISTED)
        await lookups.ask(token, {})
        for _ in range(5):
            asked = lookups.ask(token, {})
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # now it is written
            busy(0.2)
            assert (await asked).record


async def test_a_silent_server_costs_a_look_up_its_time_and_no_more(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        lookups = Lookups(parts.store, parts.screener, parts.dictionary, 100)
        await lookups.ask(parts.token(LISTED), {})
        valkey.pause()
        try:
            asked_at, asked = [], []
            for _ in range(5):  # some while others are under way
                asked_at.append(time.monotonic())
                asked.append(lookups.ask(parts.token(LISTED), {}))
                await asyncio.sleep(0.005)
            for at, each in zip(asked_at, asked, strict=True):
                with pytest.raises(Unavailable):
                    await each
                assert 0.09 < time.monotonic() - at < 0.3
        finally:
            valkey.resume()


async def test_load_makes_longer_pipelines_and_not_more_of_them(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.change(LISTED, Op.PUT, 10)
        lookups = Lookups(parts.store, parts.screener, parts.dictionary, 1_000)
        sizes: list[int] = []
        under_way = most = 0
        store: Any = parts.store
        look_up = store.lookup

        async def counted(asked: Any, high_water: Any) -> Any:  # noqa: ANN401 -- the store's
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            sizes.append(len(asked))
            try:
                return await look_up(asked, high_water)
            finally:
                under_way -= 1

        store.lookup = counted
        asked = []
        for _ in range(100):
            asked += [lookups.ask(parts.token(LISTED), {}) for _ in range(10)]
            await asyncio.sleep(0)
        assert all(found.record for found in await asyncio.gather(*asked))
        assert most <= 2
        assert len(sizes) < 60
        assert max(sizes) <= LARGEST


def test_a_circuit_opens_after_half_a_second_of_nothing_but_failures() -> None:
    circuit = CircuitBreaker()
    for asked_at in range(0, 550, 50):
        circuit.failed(asked_at / 1000, (asked_at + 49) / 1000)
        assert circuit.open == (asked_at == 500)
    circuit.succeeded(0.6)
    assert not circuit.open


def test_what_was_asked_before_the_last_answer_opens_no_circuit() -> None:
    circuit = CircuitBreaker()
    circuit.succeeded(10)
    for now in (10.1, 11, 12):
        circuit.failed(9.9, now)
        assert not circuit.open


async def test_a_person_who_cannot_be_looked_up_keeps_nobody_else_from_it() -> None:
    """What is asked last is tried, and the first answer closes the circuit."""
    bad: LookupRequest = (b"bad", {})
    good: LookupRequest = (b"good", {})

    async def ask(asked: Sequence[LookupRequest]) -> list[Any]:
        if bad in asked:
            raise Unavailable("not this one")
        return [None] * len(asked)

    async def until(asked: LookupRequest, *, answered: bool) -> None:
        while True:
            try:
                future = lane.ask(asked)
            except Unavailable:
                if not answered:
                    return
                await asyncio.sleep(0.01)
            else:
                with suppress(Unavailable):
                    await future
                    return

    lane = Lane(ask, 0.05)
    async with asyncio.timeout(10):
        await until(bad, answered=False)
        await until(good, answered=True)
    lane.close()


async def test_patience_is_over_when_the_other_side_takes_its_time() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with sliced_timeout(0.05):
            await asyncio.Event().wait()
    assert 0.045 < time.monotonic() - begun < 0.5
    async with sliced_timeout(None), sliced_timeout(10):
        await asyncio.sleep(0)


async def test_patience_lets_a_cancellation_through() -> None:
    async def wait() -> None:
        async with sliced_timeout(10):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
