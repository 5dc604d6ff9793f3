"""Clients change and check while everything breaks; nothing that was promised may be broken.

`SOAK_SEED` repeats a run's choices, though not its timing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.faults.checker import violations
from tests.faults.clients import Clients
from tests.faults.clusters import HOST, SAFE, folder, running_cluster, running_sentinels
from tests.faults.mischief import BACKLOG, FailOvers, Mischief
from tests.faults.resharding import Resharding
from tests.faults.world import World
from tests.servers import Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.faults.world import Caller, Process

FRESH_MS = 1_000
PEOPLE = 40
CHANGING, CHECKING, BATCHING = 4, 8, 2
BRIEF_S = 45.0
BRIEF_PROCESSES, PROCESSES = 2, 6
PARTED_MS = 4_000
"""A primary that is cut off refuses before another takes over: see `SAFE`."""
BACK_S = 2.0
"""A denial is given again so soon after its server's return."""
NEIGHBOURS = 8
NEIGHBOURS_KEY = "7b" * 32
SETTINGS = {
    "fresh_ms": str(FRESH_MS),
    "required_lists": "sx,xgl",
    "redis_timeout_ms": "100",
}


@contextmanager
def running(binary: str, processes: int) -> Iterator[tuple[World, World]]:
    """A world whose lists are loaded, empty, and another one whose roster is on the same server."""
    with ExitStack() as stack:
        settings = {"port": str(free_port()), "bind": HOST}
        server = Server(binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        world = prepared(World(stack, server, stack.enter_context(folder())), processes)
        url = f"redis://{HOST}:{settings['port']}/1"
        beside = World(stack, server, stack.enter_context(folder()), url, NEIGHBOURS_KEY)
        yield world, prepared(beside, 1)


def prepared(world: World, processes: int) -> World:
    """The world with its processes, ready: its lists are loaded, empty."""
    world.make_key()
    for _ in range(processes):
        world.add_process(**SETTINGS)
    world.all_looked()  # who comes after the load remembers nothing of the roster
    assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
    world.all_ready()
    return world


async def soak(mischief: Mischief, duration_s: float) -> None:
    clients, *neighbours = mischief.everybody
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CHANGING):
            tasks.create_task(clients.change_for_ever())
        for _ in range(CHECKING):
            tasks.create_task(clients.check_for_ever())
        for _ in range(BATCHING):
            tasks.create_task(clients.batch_for_ever())
        tasks.create_task(clients.find_for_ever())
        for each in neighbours:
            tasks.create_task(each.change_for_ever())
            tasks.create_task(each.batch_for_ever())
        try:
            await mischief.make(time.monotonic() + duration_s)
            for each in mischief.everybody:
                await asyncio.to_thread(settle, each.world)
        finally:
            for each in mischief.everybody:
                each.ended.set()
    for each in mischief.everybody:
        await look_at_everybody(each)


def settle(world: World) -> None:
    """All is healed: every process has to be as it should within seconds, by itself."""
    for process in world.processes:
        try:
            eventually(lambda p=process: well(p), timeout_s=10)  # type: ignore[misc]
        except pytest.fail.Exception as exc:
            raise AssertionError(f"not as it should be: {process.condition()}") from exc


def well(process: Process) -> bool:
    """Ready and not degraded; two replicas of which one is waited for are said to be unsafe."""
    status, told = process.condition()
    return status == 200 and set(told["degraded"]) <= {"durability"}


async def look_at_everybody(clients: Clients) -> None:
    """Each process decides each document, and tells all its entries."""
    for caller in clients.callers():
        for number in range(2 * clients.people):
            await decided(clients, caller, number)
            await clients.find(caller, number)
        caller.close()


async def decided(clients: Clients, caller: Caller, number: int) -> None:
    """Nothing; a check is decided, though its server may have come back just now."""
    for _ in range(20):
        if await clients.check(caller, number):
            return
        await asyncio.sleep(BACK_S / 20)
    raise AssertionError("referred though nothing is wrong")


def told(clients: Clients) -> str:
    return "\n".join(f"{name:32} {count:9,}" for name, count in sorted(clients.figures.items()))


def tell(text: str) -> None:
    print(text)  # noqa: T201 -- the figures are half of what a soak is for


async def run(mischief: Mischief, duration_s: float, tmp_path: Path) -> None:
    """A soak, judged."""
    try:
        await soak(mischief, duration_s)
    finally:
        for number, each in enumerate(mischief.everybody):
            each.history.written(tmp_path / f"history-{number}.jsonl")
            for process in each.world.processes:
                shutil.copy(process.log, tmp_path / f"{process.port}.log")
            tell(told(each))
    for each in mischief.everybody:
        judge(each, tmp_path)


def judge(clients: Clients, tmp_path: Path) -> None:
    """Every answer of this roster has to be right, whatever happened to others'."""
    found = violations(clients.history.events, FRESH_MS)
    tell(f"{'violations':32} {len(found):9,}")
    assert found == [], f"history in {tmp_path}: {found[:5]}"
    broken = {name: n for name, n in clients.figures.items() if name.startswith("checks with")}
    assert set(broken) <= {"checks with status 503"}, broken


def a_seed() -> int:
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 1_000_000))
    tell(f"\nseed {seed}")
    return seed


class Size(NamedTuple):
    """How long a soak lasts, and what it is made of."""

    duration_s: float = BRIEF_S
    processes: int = BRIEF_PROCESSES
    backlog_people: int = 0


def long(soak_s: float) -> Size:
    return Size(soak_s, PROCESSES, BACKLOG)


async def on_one_server(
    binary: str, foreign_env: Mapping[str, str], size: Size, tmp_path: Path
) -> None:
    with running(binary, size.processes) as (world, beside):
        seed = a_seed()
        clients = Clients(world, PEOPLE, seed)
        mischief = Mischief(clients, foreign_env, [Clients(beside, NEIGHBOURS, seed)])
        mischief.backlog_people = size.backlog_people
        await run(mischief, size.duration_s, tmp_path)


async def on_sentinels(binary: str, size: Size, tmp_path: Path) -> None:
    made = running_sentinels(binary, down_after_ms=PARTED_MS, cuttable=True)
    with made as sentinels, ExitStack() as stack:
        place = stack.enter_context(folder())
        world = World(stack, sentinels.primary.server, place, sentinels.url)
        clients = Clients(prepared(world, size.processes), PEOPLE, a_seed())
        mischief = FailOvers(clients, sentinels)
        mischief.backlog_people = size.backlog_people
        await run(mischief, size.duration_s, tmp_path)


async def on_cluster(binary: str, size: Size, tmp_path: Path) -> None:
    with running_cluster(binary, SAFE) as cluster, ExitStack() as stack:
        place = stack.enter_context(folder())
        world = World(stack, cluster.members[0].server, place, cluster.url)
        clients = Clients(prepared(world, size.processes), PEOPLE, a_seed())
        mischief = Resharding(clients, cluster)
        mischief.backlog_people = size.backlog_people
        await run(mischief, size.duration_s, tmp_path)


@pytest.mark.timeout(180)
async def test_every_promise_holds_while_everything_breaks(
    valkey_binary: str, foreign_env: Mapping[str, str], tmp_path: Path
) -> None:
    await on_one_server(valkey_binary, foreign_env, Size(), tmp_path)


@pytest.mark.timeout(180)
async def test_every_promise_holds_while_primaries_fail(valkey_binary: str, tmp_path: Path) -> None:
    await on_sentinels(valkey_binary, Size(BRIEF_S / 2), tmp_path)


@pytest.mark.timeout(180)
async def test_every_promise_holds_while_a_cluster_changes(
    valkey_binary: str, tmp_path: Path
) -> None:
    await on_cluster(valkey_binary, Size(BRIEF_S / 3), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("binary", ["valkey_binary", "redis7_binary"])
async def test_every_promise_holds_for_as_long_as_everything_breaks(
    request: pytest.FixtureRequest,
    binary: str,
    foreign_env: Mapping[str, str],
    tmp_path: Path,
    soak_s: float,
) -> None:
    await on_one_server(request.getfixturevalue(binary), foreign_env, long(soak_s), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_every_promise_holds_for_as_long_as_primaries_fail(
    valkey_binary: str, tmp_path: Path, soak_s: float
) -> None:
    await on_sentinels(valkey_binary, long(soak_s), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_every_promise_holds_for_as_long_as_a_cluster_changes(
    valkey_binary: str, tmp_path: Path, soak_s: float
) -> None:
    await on_cluster(valkey_binary, long(soak_s), tmp_path)
