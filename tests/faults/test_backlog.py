from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from roster.documents.identity import Document, normalise
from roster.documents.tokeniser import Tokeniser
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import Content, Op, Provenance
from roster.records.record import provenance_tail
from roster.redis.nodes import Nodes
from roster.storage.store import Store
from tests.faults.clusters import HOST, folder
from tests.faults.world import EVERYBODY, ID_KEY, Caller, Process, World
from tests.servers import Server, eventually, free_port
from tests.service.parts import WAIT

if TYPE_CHECKING:
    from pathlib import Path

SOON_S = 10.0
REVISION = 1_700_000_000_000
STALE_S = 4.0
"""Longer than a process may be fresh without news."""


def written(world: World, people: int) -> Path:
    """A file with so many people, all of them new."""
    path = world.folder / "many.csv"
    head = "entry_id,document_type,document_number,document_issuer,revision\n"
    rows = (f"e/{n},passport,K{n:08d},RUS,1600000000000\n" for n in range(people))
    path.write_text(head + "".join(rows))
    return path


async def pushed(server: Server, people: int) -> None:
    """So many additions are told in the log, and no image has them."""
    tokeniser = Tokeniser(bytes.fromhex(ID_KEY))
    link = redis.asyncio.Redis(unix_socket_path=str(server.socket), protocol=2)
    store = Store(Nodes(link, lambda _host, _port: link), tokeniser.check_value)
    content = pack_content(Content("e/1", case="(2018)京0105执1234号"), {})
    told = provenance_tail(Provenance("api", "test"))
    name = tokeniser.entry_hash(1, "e/1")
    for first in range(0, people, 5_000):
        tokens = [
            tokeniser.token(normalise(Document("passport", f"K{n:08d}", "RUS")).number)
            for n in range(first, min(first + 5_000, people))
        ]
        changes = [
            Change(
                each, 1, Op.PUT, REVISION, name, content, tokeniser.digest(each, 1, content), told
            )
            for each in tokens
        ]
        await store.apply(changes, WAIT)
    await link.aclose()


async def until_well(process: Process, key: str, people: int) -> float:
    """How long it took to be ready and fresh; nobody listed was cleared without `stale`."""
    caller, began, number = Caller(process.port, key), time.monotonic(), 0
    while time.monotonic() < began + 60:
        with suppress(OSError):  # it does not listen yet
            for _ in range(5):
                number = (number + 7_919) % people
                document = {"type": "passport", "issuer": "RUS", "number": f"K{number:08d}"}
                body = {"document": document, "journey": {"mode": "air"}}
                status, answer = await caller.post("/v1/check", body)
                assert status == 503 or answer["decision"] != "allow" or answer["stale"]
        status, body = await asyncio.to_thread(process.condition)
        if status == 200 and "stale" not in body["degraded"]:
            caller.close()
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(process.log.read_text()[-2000:])


async def everybody_is_denied(process: Process, key: str, people: int) -> None:
    caller = Caller(process.port, key)
    items = [
        {
            "document": {"type": "passport", "issuer": "RUS", "number": f"K{n:08d}"},
            "journey": {"mode": "air"},
        }
        for n in range(0, people, people // 200)
    ]
    status, answer = await caller.post("/v1/check/batch", {"items": items})
    caller.close()
    assert status == 200
    assert answer["counts"]["deny"] == len(items), answer["counts"]


async def after_a_great_load(binary: str, people: int, *, alone: bool) -> list[float]:
    """A list that is covered gets so many people more, each told in the log.

    A process is stopped meanwhile, and another starts then; or that one alone.
    """
    settings = {"port": str(free_port()), "bind": HOST, "appendfsync": "everysec"}
    with ExitStack() as stack:
        server = Server(binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        world = World(stack, server, stack.enter_context(folder()))
        world.make_key()
        assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
        stopped = world.add_process()
        world.all_ready()
        path = written(world, people)
        stopped.pause()
        paused_at = time.monotonic()
        done = world.run(
            "load", str(path), "--list", "sx", "--as-of", "2025-01-01T00:00:00Z",
            "--max-additions", EVERYBODY, "--max-removals", EVERYBODY,
            timeout_s=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with server.client() as link:
            told = sum(link.xlen(f"clearway:{{{number:02d}}}:log") for number in range(64))
        assert told >= people
        await asyncio.sleep(max(0, paused_at + STALE_S - time.monotonic()))
        if alone:
            stopped.kill()
            processes = [world.add_process()]
        else:
            stopped.resume()
            processes = [stopped, world.add_process()]
        took = [until_well(each, world.key, people) for each in processes]
        seconds = list(await asyncio.gather(*took))
        for each in processes:
            await everybody_is_denied(each, world.key, people)
        return seconds


@pytest.mark.timeout(180)
async def test_a_backlog_is_caught_up_over_a_narrow_line(valkey_binary: str) -> None:
    """All of it at once would take several times as long as a process waits for an answer."""
    settings = {"port": str(free_port()), "bind": HOST}
    with ExitStack() as stack:
        server = Server(valkey_binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        world = World(stack, server, stack.enter_context(folder()))
        world.make_key()
        assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
        process = world.add_process()
        world.all_ready()
        world.cuts[0].tell("silence")
        await pushed(server, 30_000)
        eventually(lambda: "stale" in process.condition()[1]["degraded"])
        world.cuts[0].tell("narrow")
        assert await until_well(process, world.key, 30_000) < 4 * SOON_S
        world.cuts[0].tell("heal")
        await everybody_is_denied(process, world.key, 30_000)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("alone", [False, True], ids=["stopped and new", "alone"])
async def test_any_backlog_of_a_load_is_caught_up_soon(valkey_binary: str, *, alone: bool) -> None:
    seconds = await after_a_great_load(valkey_binary, 40_000, alone=alone)
    assert max(seconds) < SOON_S


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("alone", [False, True], ids=["stopped and new", "alone"])
async def test_400_000_additions_are_caught_up_within_10_s(
    valkey_binary: str, *, alone: bool
) -> None:
    seconds = await after_a_great_load(valkey_binary, 400_000, alone=alone)
    print("ready after", *(f"{each:.1f} s" for each in seconds))  # noqa: T201 -- the figure asked for
    assert max(seconds) < SOON_S
