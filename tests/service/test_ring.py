"""What a change costs the server where many processes hear of it, and how soon they do."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from roster.records.change import Change
from roster.records.entry import Op
from service.changing.propagation import Notifier
from tests.service.parts import WAIT, process, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roster.documents.identity import Token
    from tests.servers import Server
    from tests.service.parts import Parts

CHANGES, PER_S = 300, 100


class Cost(NamedTuple):
    """Of one change: the server's time and calls, and how late the last process heard of it."""

    cpu_us: float
    calls: float
    late_s: list[float]


def token(n: int) -> Token:
    from roster.documents.identity import Token as Made

    return Made(bytes((0, n * 7 % 64, 0, n % 256)) + n.to_bytes(12))


def spent(client: Any) -> tuple[float, float]:  # noqa: ANN401 -- a client of the server
    cpu, stats = client.info("cpu"), client.info("commandstats")
    calls = sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("fcall", "eval"))
    return cpu["used_cpu_user"] + cpu["used_cpu_sys"], calls


async def heard(processes: list[Parts], known: Token) -> float:
    """How long it takes until every process has the person in its filter."""
    started = time.monotonic()
    async with asyncio.timeout(5):
        while not all(each.screener.may_be_listed(known) for each in processes):  # noqa: ASYNC110 -- they hear by themselves
            await asyncio.sleep(0.001)
    return time.monotonic() - started


async def changed(one: Parts, notifier: Notifier, n: int) -> Token:
    change = Change(token(n), 1, Op.PUT, 10, bytes(6), b"content", bytes(8))
    (applied,) = await one.store.apply([change], WAIT)
    notifier.tell([applied.position], [change.token])
    return token(n)


async def cost(server: Server, count: int) -> Cost:
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(process(server, name=f"p{n}")) for n in range(count)
        ]
        one = processes[0]
        await one.cover()
        for each in processes:
            await stack.enter_async_context(running(each))
        await one.processes.watch()
        notifier = Notifier(one.store, one.processes)
        hearing = []
        with server.client() as client:
            cpu_s, calls = spent(client)
            for n in range(CHANGES):
                due = asyncio.get_running_loop().time() + 1 / PER_S
                known = await changed(one, notifier, n)
                if n % 10 == 0:
                    hearing.append(asyncio.create_task(heard(processes, known)))
                await asyncio.sleep(due - asyncio.get_running_loop().time())
            late = sorted(await asyncio.gather(*hearing))
            cpu_after, calls_after = spent(client)
        await notifier.close()
        return Cost((cpu_after - cpu_s) / CHANGES * 1e6, (calls_after - calls) / CHANGES, late)


def median(late_s: list[float]) -> float:
    return late_s[len(late_s) // 2]


@pytest.mark.timeout(300)
async def test_a_change_costs_with_24_processes_at_most_twice_what_it_does_with_2(
    valkey: Server,
) -> None:
    ratios = []
    for _ in range(3):  # what else the machine does is counted, too
        few, many = await cost(valkey, 2), await cost(valkey, 24)
        ratios.append(many.cpu_us / few.cpu_us)
        assert median(few.late_s) < 0.05
        assert median(many.late_s) < 0.05
        if ratios[-1] <= 2:
            return
    pytest.fail(f"a change costs {ratios} times as much")


async def test_a_roster_that_is_named_while_the_bell_is_connecting_is_heard(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as one:
        await one.cover()
        nodes, never = one.follower._nodes, asyncio.Event()
        subscribed = nodes.subscribed

        async def swallows(*channels: str) -> AsyncIterator[tuple[str, bytes]]:
            with suppress(asyncio.CancelledError):  # as redis-py on Python 3.11 may
                if not one.screener.roster:
                    await never.wait()
            async for message in subscribed(*channels):
                yield message

        monkeypatch.setattr(nodes, "subscribed", swallows)
        async with running(one):
            await one.processes.watch()
            notifier = Notifier(one.store, one.processes)
            late = [await heard([one], await changed(one, notifier, n)) for n in range(300, 320)]
            assert sorted(late)[10] < 0.05
            await notifier.close()
