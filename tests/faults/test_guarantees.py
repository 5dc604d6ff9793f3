"""Each guarantee (docs/architecture.md, Guarantees) by itself, under one real fault."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from tests.faults.asked import document
from tests.faults.clients import Source, rows, shape
from tests.faults.clusters import HOST, folder
from tests.faults.history import LIFT
from tests.faults.world import Caller, World
from tests.servers import Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.history import Name
    from tests.faults.world import Process

FRESH_MS = 500
SETTINGS = {"fresh_ms": str(FRESH_MS), "redis_timeout_ms": "100"}
SOURCE = Source()
NUMBERS = iter(range(1_000, 4_000, 2))


@pytest.fixture(scope="module")
def world(valkey_binary: str) -> Iterator[World]:
    with ExitStack() as stack:
        settings = {"port": str(free_port()), "bind": HOST}
        server = Server(valkey_binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        made = World(stack, server, stack.enter_context(folder()))
        made.make_key()
        for _ in range(2):
            made.add_process(**SETTINGS)
        made.all_looked()
        assert made.load([], "2020-01-01T00:00:00Z") == 0, made.told
        made.all_ready()
        yield made


@pytest.fixture
def person() -> int:
    """Somebody whom no other test knows."""
    return next(NUMBERS)


class Client:
    """Asks any of the processes."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def decide(self, process: Process, number: int, **more: object) -> dict[str, Any]:
        """The answer to a check."""
        body = {"document": document(number), "journey": {"mode": "air"}, **more}
        status, answer = await self._post(process, "/v1/check", body)
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    async def decisions(self, number: int) -> list[str]:
        """What each process decides."""
        answers = [await self.decide(process, number) for process in self.world.processes]
        return [answer["decision"] for answer in answers]

    async def change(self, op: str, name: Name, **more: object) -> dict[str, Any]:
        """The answer to an acknowledged change."""
        status, answer = await self.try_change(op, name, **more)
        assert status == 200, answer
        return answer

    async def try_change(self, op: str, name: Name, **more: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 -- as JSON
        process = self.world.processes[more.pop("by", 0)]
        revision = more.pop("revision", None) or SOURCE.now_ms()
        body = {"changes": [shape(op, name, revision)], **more}
        return await self._post(process, "/v1/changes", body)

    async def state(self, number: int) -> dict[str, str]:
        """The states of a document's entries."""
        body = {"document": document(number)}
        status, answer = await self._post(self.world.processes[0], "/v1/entries/find", body)
        assert status == 200, answer
        return {
            f"{entry['list']}/{entry['entry_id']}": entry["state"] for entry in answer["entries"]
        }

    async def until(self, number: int, decision: str) -> None:
        """Wait until all processes decide so; it must come within seconds, by itself."""
        deadline = time.monotonic() + 5
        while set(await self.decisions(number)) != {decision}:
            assert time.monotonic() < deadline, await self.decisions(number)
            await asyncio.sleep(0.02)

    async def _post(self, process: Process, path: str, body: object) -> tuple[int, Any]:
        caller = Caller(process.port, self.world.key)
        try:
            return await caller.post(path, body)
        finally:
            caller.close()


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


async def changes_until_killed(client: Client, op: str, names: list[Name]) -> list[Name]:
    """The changes that were acknowledged while the server was killed in the middle."""
    acknowledged: list[Name] = []

    async def one(name: Name) -> None:
        try:
            status, _ = await client.try_change(op, name)
        except OSError:
            return
        if status == 200:
            acknowledged.append(name)
            if len(acknowledged) == len(names) // 3:
                client.world.server.kill()

    for first in range(0, len(names), 8):
        await asyncio.gather(*(one(name) for name in names[first : first + 8]))
    assert not client.world.server.running
    await asyncio.to_thread(client.world.server.start)
    return acknowledged


async def test_g1_a_removal_is_immediate_also_when_the_server_is_killed_behind_it(
    client: Client,
) -> None:
    names: list[Name] = [(next(NUMBERS), "sx", "1") for _ in range(30)]
    await asyncio.gather(*(client.change("put", name, wait="all") for name in names))
    assert await client.decisions(names[0][0]) == ["deny", "deny"]
    removed = await changes_until_killed(client, "remove", names)
    assert len(removed) >= 10
    for number, _, _ in removed:
        assert "deny" not in await client.decisions(number)
    await client.until(names[0][0], "allow")


async def test_g1_a_lift_a_suspension_and_an_unbinding_are_immediate_everywhere(
    client: Client, person: int
) -> None:
    await client.change("put", (person, "sx", "1"), wait="all")
    for op, name in (("put", (person, LIFT, "l")), ("suspend", (person, "sx", "1"))):
        await client.change(op, name, by=1)
        assert await client.decisions(person) == ["allow", "allow"]
        await client.change("resume" if op == "suspend" else "remove", name, wait="all")
        assert await client.decisions(person) == ["deny", "deny"]
    await client.change("put", (person, "bind", "b"), wait="all")
    assert await client.decisions(person + 1) == ["deny", "deny"]
    await client.change("remove", (person, "bind", "b"))
    assert await client.decisions(person + 1) == ["allow", "allow"]


async def test_g2_an_addition_everywhere_is_denied_or_stale_at_a_process_that_is_cut_off(
    world: World, client: Client, person: int
) -> None:
    await client.change("put", (person, "sx", "1"), wait="all")
    assert await client.decisions(person) == ["deny", "deny"]
    world.cuts[1].tell("silence")
    try:
        answer = await client.change("put", (person + 2, "sx", "1"), wait="all", timeout_ms=4_000)
        there = await client.decide(world.processes[1], person + 2)
        if not answer["processes"]["missing"]:
            assert there["decision"] != "allow" or there["stale"]
        else:
            assert there["stale"]
    finally:
        world.cuts[1].tell("heal")
    next(NUMBERS)
    await client.until(person + 2, "deny")


async def test_g3_who_asks_for_at_least_a_change_sees_it_or_is_referred(
    world: World, client: Client, person: int
) -> None:
    world.cuts[1].tell("silence")
    try:
        position = (await client.change("put", (person, "sx", "1")))["position"]
        answer = await client.decide(world.processes[1], person, at_least=position)
        assert answer["decision"] == "refer"
        assert answer["reasons"][0]["code"] in ("stale", "registry_unavailable")
    finally:
        world.cuts[1].tell("heal")
    for process in world.processes:
        for _ in range(20):
            answer = await client.decide(process, person, at_least=position)
            if answer["decision"] != "refer":
                break
            await asyncio.sleep(0.05)
        assert answer["decision"] == "deny"


async def test_g4_nothing_acknowledged_is_lost_when_the_server_is_killed(client: Client) -> None:
    names: list[Name] = [(next(NUMBERS), "sx", "1") for _ in range(60)]
    acknowledged = await changes_until_killed(client, "put", names)
    assert len(acknowledged) >= 20
    for number, _, _ in acknowledged:
        assert await client.state(number) == {"sx/1": "active"}


async def test_g5_neither_an_old_change_nor_an_old_file_brings_back_who_was_removed(
    world: World, client: Client, person: int
) -> None:
    name = (person, "sx", "1")
    old = SOURCE.now_ms()
    await client.change("put", name, revision=old)
    await client.change("remove", name)
    world.server.kill()
    world.server.start()
    await client.until(person, "allow")
    again = await client.change("put", name, revision=old + 1)
    assert again["results"][0]["current"]["state"] == "removed"
    assert await asyncio.to_thread(world.load, rows(((name, old),)), now()) == 0, world.told
    assert await asyncio.to_thread(world.load, rows(((name, old),)), "2021-01-01T00:00:00Z") == 1
    assert await client.state(person) == {"sx/1": "removed"}
    assert await client.decisions(person) == ["allow", "allow"]


def now() -> str:
    from roster.times import format_ms

    return format_ms(SOURCE.now_ms() - 100)


async def test_g6_a_flushed_roster_refers_everybody_until_it_is_loaded_again(
    world: World, client: Client, person: int
) -> None:
    name = (person, "sx", "1")
    revision = SOURCE.now_ms()
    await client.change("put", name, revision=revision, wait="all")
    with world.server.client() as plain:
        known = plain.hgetall(keys.KEYS)
        plain.flushall()
        seen = {answer for _ in range(60) for answer in await client.decisions(person)}
        assert seen == {"refer"}
        await client.until(person + 1, "refer")
        plain.hset(keys.KEYS, mapping=known)
    assert await asyncio.to_thread(world.load, rows(((name, revision),)), now()) == 0, world.told
    await client.until(person, "deny")
    await client.until(person + 1, "allow")


async def test_g6_a_restored_backup_denies_nobody_and_clears_nobody_who_was_added(
    world: World, client: Client, person: int
) -> None:
    removed, added = (person, "sx", "1"), (next(NUMBERS), "sx", "1")
    await client.change("put", removed, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(person, "deny")
    await client.change("remove", removed)
    await client.change("put", added, wait="all")
    await asyncio.to_thread(restore)
    for _ in range(30):
        assert "deny" not in await client.decisions(removed[0])
        assert "allow" not in await client.decisions(added[0])
    await client.until(removed[0], "refer")
    done = await asyncio.to_thread(world.run, "accept", "--reason", "a test")
    assert done.returncode == 0, done.stderr
    await client.until(removed[0], "deny")
    await client.until(added[0], "allow")


def backup(server: Server) -> Any:  # noqa: ANN401 -- a function that restores
    """Copy the data of a server that stands still; calling the result puts it back."""
    place, copy = server.folder / "appendonlydir", server.folder / "backup"
    server.stop()
    shutil.copytree(place, copy)
    server.start()

    def restore() -> None:
        server.kill()
        shutil.rmtree(place)
        Path(copy).rename(place)
        server.start()

    return restore


async def test_g6_a_wrong_key_ends_the_start_and_refers_where_it_comes_later(
    world: World, client: Client, person: int, tmp_path: Path
) -> None:
    ended = await asyncio.to_thread(world.run, "serve", "--port", "0", id_key="77" * 32)
    assert ended.returncode == 1
    assert "key" in ended.stderr
    with world.server.client() as plain:
        right = {name: plain.hget(name, "check") for name in keys.META}
        for name in keys.META:
            plain.hset(name, "check", b"another!")
        try:
            deadline = time.monotonic() + 3
            while await client.decisions(person) != ["refer", "refer"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            assert [process.condition()[0] for process in world.processes] == [503, 503]
        finally:
            for name, value in right.items():
                plain.hset(name, "check", value)
    await client.until(person, "allow")
    eventually(lambda: all(process.ready() for process in world.processes))
    assert json.dumps(world.processes[0].condition()[1])
