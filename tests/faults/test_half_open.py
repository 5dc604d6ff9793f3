"""Connections that were cut without a word: the other side is gone, and nothing says so."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from roster.errors import Unavailable
from roster.redis.connection import check_client, follow_client
from roster.redis.nodes import Nodes
from roster.redis.target import parse_target
from tests.faults.clusters import HOST
from tests.faults.test_guarantees import Client
from tests.faults.world import Cut, World
from tests.servers import Server, free_port
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

NOTICED_S = 2.0
BUSY_S = 1.0  # for a machine that other tests keep busy
TIMEOUT_MS = 300


@pytest.fixture
def cut(make_server: Callable[..., Server]) -> Iterator[Cut]:
    port = free_port()
    with make_server({"port": str(port), "bind": HOST}).client() as client:
        client.execute_command("ACL", "SETUSER", "us", "on", ">secret", "~*", "&*", "+@all")
    with ExitStack() as stack:
        made = Cut(port)
        stack.callback(made.close)
        yield made


@asynccontextmanager
async def through(cut: Cut, *, checks: bool) -> AsyncIterator[Nodes]:
    target = parse_target(f"redis://us:secret@{HOST}:{cut.port}")
    client = check_client(target, TIMEOUT_MS) if checks else follow_client(target)
    nodes = Nodes(client, lambda _host, _port: client)
    try:
        yield nodes
    finally:
        await nodes.close()


@asynccontextmanager
async def listening(nodes: Nodes) -> AsyncIterator[asyncio.Task[bytes]]:
    """A task that waits for the channel's next message, once it is subscribed."""
    waiting = asyncio.create_task(_first(nodes.subscribed("bell")))
    try:
        async with asyncio.timeout(10):
            while True:
                ((_, listeners),) = await nodes.keyed("k", [("PUBSUB", "NUMSUB", "bell")])
                if listeners == 1:
                    break
        yield waiting
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_doorbell_that_was_cut_off_is_noticed_within_two_seconds(cut: Cut) -> None:
    async with through(cut, checks=False) as nodes, listening(nodes) as waiting:
        cut.tell("forget")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await waiting
        assert time.monotonic() - began <= NOTICED_S + BUSY_S


async def test_a_doorbell_on_which_nobody_rings_stays(cut: Cut) -> None:
    async with through(cut, checks=False) as nodes, listening(nodes) as waiting:
        done, _ = await asyncio.wait([waiting], timeout=NOTICED_S + BUSY_S)
        assert not done
        await nodes.keyed("k", [("PUBLISH", "bell", "7")])
        assert await waiting == b"7"


async def test_connections_that_were_cut_off_cost_one_check_and_not_one_each(cut: Cut) -> None:
    async with through(cut, checks=True) as nodes:
        await asyncio.gather(*(nodes.keyed("k", [("SET", "k", "v")]) for _ in range(20)))
        cut.tell("forget")
        assert await failures(nodes, 20) <= 1


async def test_a_server_to_which_connecting_takes_longer_than_a_check_may_is_reached(
    cut: Cut,
) -> None:
    """A check gives up; the connection that was being made for it serves a later one."""
    cut.tell("slow")
    async with through(cut, checks=True) as nodes:
        assert await failures(nodes, 10) < 5


async def _first(heard: AsyncIterator[tuple[str, bytes]]) -> bytes:
    return (await anext(heard))[1]


async def test_a_process_that_was_cut_off_denies_and_hears_again_within_two_seconds(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server({"port": str(free_port()), "bind": HOST})
    with ExitStack() as stack:
        world = World(stack, server, tmp_path)
        world.make_key()
        process = world.add_process()
        world.all_looked()
        assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
        world.all_ready()
        client = Client(world)
        await client.change("put", (1001, "sx", "1"), wait="all")
        await asyncio.gather(*(client.decide(process, 1001) for _ in range(20)))
        world.cuts[0].tell("forget")
        lost = time.monotonic()
        answers = [await client.decide(process, 1001)]
        while answers[-1]["decision"] != "deny" or answers[-1]["stale"]:
            assert time.monotonic() - lost < NOTICED_S + BUSY_S, answers[-1]
            answers.append(await client.decide(process, 1001))
        assert len([each for each in answers if each["decision"] == "refer"]) <= 2
        await client.change("put", (1003, "sx", "1"), wait="all")
        assert (await client.decide(process, 1003))["decision"] == "deny"


def test_the_kernel_ends_what_was_cut_off_within_two_seconds(
    valkey_binary: str, short_folder: Path
) -> None:
    """Without a word from us: all packets of the server are lost, in a network of its own."""
    alone = ["unshare", "--map-root-user", "--net"]
    cable = ["ip", "link", "add", "here", "type", "veth", "peer", "name", "there"]
    if shutil.which("unshare") is None or subprocess.run([*alone, *cable], check=False).returncode:
        pytest.skip("networks of our own are not permitted here")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.faults.blackhole", valkey_binary, short_folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    took = json.loads(done.stdout)
    assert set(took) == {"idle", "asking"}
    assert max(took.values()) <= NOTICED_S + BUSY_S


async def failures(nodes: Nodes, tries: int) -> int:
    """How many of so many look-ups in a row fail."""
    failed = 0
    for _ in range(tries):
        try:
            await nodes.keyed("k", [("GET", "k")])
        except Unavailable:
            failed += 1
    return failed
