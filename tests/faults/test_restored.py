"""Backups that come back while somebody looks, while nobody does, and what tells them apart."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.times import format_ms
from tests.faults.asked import document
from tests.faults.clients import rows
from tests.faults.clusters import HOST, folder
from tests.faults.test_guarantees import SETTINGS, SOURCE, Client, backup
from tests.faults.world import Caller, Process, World
from tests.servers import Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.history import Name

NUMBERS = iter(range(5_000, 8_000, 2))


@pytest.fixture
def world(valkey_binary: str) -> Iterator[World]:
    """A server with both lists loaded, and no process yet."""
    with ExitStack() as stack:
        settings = {"port": str(free_port()), "bind": HOST}
        server = Server(valkey_binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        made = World(stack, server, stack.enter_context(folder()))
        made.make_key()
        assert made.load([], "2020-01-01T00:00:00Z") == 0, made.told
        yield made


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


def now() -> str:
    """A time at which everything that was sent until here had happened."""
    return format_ms(SOURCE.now_ms())


def degraded(process: Process) -> list[str]:
    told: list[str] = process.condition()[1]["degraded"]
    return told


async def status_with(process: Process, key: str, number: int) -> int:
    """The status of a check with this key."""
    caller = Caller(process.port, key)
    try:
        body = {"document": document(number), "journey": {"mode": "air"}}
        return (await caller.post("/v1/check", body))[0]
    finally:
        caller.close()


async def load(world: World, as_of: str, *lists: str) -> dict[str, Any]:
    """The JSON that a load of these lists, all empty, prints."""
    path = world.folder / "lists.csv"
    path.write_text("list,entry_id,document_type,document_number\n")
    named = [part for name in lists for part in ("--list", name)]
    done = await asyncio.to_thread(
        world.run, "load", str(path), *named, "--as-of", as_of, "--allow-empty", "--json",
        "--max-removals", "1000000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def lose_a_removal(world: World, client: Client, name: Name) -> tuple[str, int]:
    """Restore a backup from before an acknowledged removal: a time before that, the revision."""
    revision = SOURCE.now_ms()
    await client.change("put", name, revision=revision, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    early = now()
    await client.change("remove", name)
    await asyncio.to_thread(restore)
    await client.until(name[0], "refer")
    return early, revision


async def test_only_newer_files_of_every_list_end_a_rewind_and_loads_say_so(
    world: World, client: Client
) -> None:
    world.add_process(**SETTINGS)
    world.all_ready()
    name: Name = (next(NUMBERS), "sx", "1")
    early, revision = await lose_a_removal(world, client, name)
    process = world.processes[0]
    told = await load(world, now(), "xgl")
    assert set(told["rewound"]["lists"]) == {"sx"}
    assert await asyncio.to_thread(world.load, rows(((name, revision),)), early) in (0, 1)
    assert await client.decisions(name[0]) == ["refer"]
    assert "rewound" in degraded(process)
    done = await asyncio.to_thread(world.run, "accept", "--reason", "drill", "--dry-run")
    assert done.stdout.startswith("1 people"), done.stdout
    told = await load(world, now(), "sx", "xgl")
    assert told["rewound"] is None
    await client.until(name[0], "allow")
    eventually(lambda: "rewound" not in degraded(process))


async def test_an_older_file_of_the_same_list_says_that_it_is_older(
    world: World, client: Client
) -> None:
    world.add_process(**SETTINGS)
    world.all_ready()
    name: Name = (next(NUMBERS), "sx", "1")
    early, _ = await lose_a_removal(world, client, name)
    told = await load(world, early, "sx", "xgl")
    assert {"sx", "xgl"} == set(told["rewound"]["lists"])
    assert "older" in told["rewound"]["lists"]["sx"]["why"]


async def test_a_restore_while_nobody_ran_is_said_to_be_unnoticeable_until_it_is_declared(
    world: World, client: Client
) -> None:
    first = world.add_process(**SETTINGS)
    world.all_ready()
    name: Name = (next(NUMBERS), "sx", "1")
    await client.change("put", name, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    await client.change("remove", name)
    first.kill()
    await asyncio.to_thread(restore)
    world.processes.clear()
    for number in range(2):  # both start with nothing remembered, and see each other
        await asyncio.to_thread(start_elsewhere, world, f"elsewhere-{number}")
    world.all_ready()
    assert [await asyncio.to_thread(degraded, each) for each in world.processes] == [
        ["unremembered"],
        ["unremembered"],
    ]
    done = await asyncio.to_thread(world.run, "restored")
    assert done.returncode == 0, done.stderr
    assert "sx" in done.stdout
    await client.until(name[0], "refer")
    assert await asyncio.to_thread(world.load, [], now()) == 0, world.told
    await client.until(name[0], "allow")
    eventually(lambda: all(degraded(each) == [] for each in world.processes))


def start_elsewhere(world: World, name: str) -> None:
    """One more process, whose data folder is new."""
    place = world.folder / name
    place.mkdir()
    made = Process(place, world.settings(world.redis_port, data_dir=str(place), **SETTINGS))
    world.stack.callback(made.kill)
    made.start()
    world.processes.append(made)


async def test_restored_works_while_no_process_runs(world: World, client: Client) -> None:
    done = await asyncio.to_thread(world.run, "restored", "--json")
    told = json.loads(done.stdout)
    assert told["partitions"] == 64
    assert set(told["load_as_of_after"]) == {"sx", "xgl"}
    world.add_process(**SETTINGS)
    world.all_ready()
    await client.until(next(NUMBERS), "refer")
    done = await asyncio.to_thread(world.run, "accept", "--reason", "drill")
    assert done.returncode == 0, done.stderr
    await client.until(next(NUMBERS), "allow")


async def test_a_process_that_remembers_says_nothing_of_it_and_notices_a_restore(
    world: World, client: Client
) -> None:
    process = world.add_process(**SETTINGS)
    world.all_ready()
    name: Name = (next(NUMBERS), "sx", "1")
    await client.change("put", name, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    await client.change("remove", name)
    marks = process.log.parent
    saved = [path.read_bytes() for path in marks.glob("marks-*")]
    eventually(lambda: [p.read_bytes() for p in marks.glob("marks-*")] != saved)
    process.kill()
    await asyncio.to_thread(restore)
    process.start()
    world.all_ready()
    await client.until(name[0], "refer")
    assert degraded(process) == ["rewound"]


async def test_a_load_that_a_backup_lacks_is_noticed(world: World, client: Client) -> None:
    world.add_process(**SETTINGS)
    world.all_ready()
    name: Name = (next(NUMBERS), "sx", "1")
    revision = SOURCE.now_ms()
    await client.change("put", name, revision=revision, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    assert await asyncio.to_thread(world.load, [], now()) == 0, world.told
    await client.until(name[0], "allow")
    await asyncio.to_thread(restore)
    await client.until(name[0], "refer")


async def test_revoked_keys_and_disabled_lists_that_come_back_are_named_and_stay_ended(
    world: World, client: Client
) -> None:
    process = world.add_process(**SETTINGS)
    world.all_ready()
    number = next(NUMBERS)
    await client.change("put", (number, "sx", "1"), wait="all")
    made = await asyncio.to_thread(world.run, "keys", "create", "--name", "k", "--scopes", "check")
    key = made.stdout.strip()
    identifier = key.split("_")[1]
    with world.server.client() as link:
        saved = link.dump(keys.KEYS)
    assert await status_with(process, key, number) == 200
    await asyncio.to_thread(world.run, "keys", "revoke", identifier)
    await asyncio.to_thread(world.run, "lists", "disable", "sx", "--reason", "drill")
    await client.until(number, "refer")
    eventually(lambda: "list_disabled" in degraded(process))
    with world.server.client() as link:
        link.restore(keys.KEYS, 0, saved, replace=True)
        link.delete(keys.LISTS)
    told = {f"key_restored:{identifier}", "list_restored:sx"}
    eventually(lambda: told <= set(degraded(process)))
    assert await status_with(process, key, number) == 401
    assert await client.decisions(number) == ["refer"]
    process.kill()
    process.start()  # what the data folder remembers outlives the process
    world.all_ready()
    eventually(lambda: told <= set(degraded(process)))
    assert await status_with(process, key, number) == 401
    await asyncio.to_thread(world.run, "lists", "enable", "sx")
    await client.until(number, "deny")
    await asyncio.to_thread(world.run, "keys", "revoke", identifier)
    eventually(lambda: degraded(process) == [])
