"""What docs/operations.md tells to do for a backup, and after one came back, done as it stands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.records.position import decoded, plain
from roster.storage.high_water import read_marks
from tests.faults.clients import rows
from tests.faults.clusters import HOST, folder, running_sentinels
from tests.faults.test_guarantees import SETTINGS, SOURCE, Client, backup
from tests.faults.test_restored import degraded, now
from tests.faults.world import COMMAND, Process, World
from tests.servers import Server, eventually, free_port
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from roster.records.position import Position
    from tests.faults.history import Name

MANUAL = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
NUMBERS = iter(range(9_000, 12_000, 2))
NEEDS_CLI = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli here")


def blocks(heading: str) -> list[str]:
    """The shell commands below a heading of the manual, block by block."""
    _, _, text = MANUAL.partition(f"\n### {heading}\n")
    text = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


BACKUP, EMBEDDED, PUT_BACK = blocks("Backups")
PREVIEW, ACCEPT = (f"{line}\n" for line in blocks("Restored from a backup")[0].splitlines())


@pytest.fixture(scope="module")
def world(valkey_binary: str) -> Iterator[World]:
    """A server with both lists loaded, and one process."""
    with ExitStack() as stack:
        settings = {"port": str(free_port()), "bind": HOST}
        server = Server(valkey_binary, stack.enter_context(folder()), settings)
        stack.callback(server.stop)
        server.start()
        made = World(stack, server, stack.enter_context(folder()))
        made.make_key()
        assert made.load([], "2020-01-01T00:00:00Z") == 0, made.told
        with server.client() as link:
            link.set(keys.CANARY, "nobody")  # the canary's changes are lost as well, and counted
        made.add_process(**SETTINGS)
        made.all_ready()
        yield made


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    yield Client(world)
    assert world.run("accept", "--reason", "the next test").returncode == 0
    eventually(lambda: remembered(world) == 0 and degraded(world.processes[0]) == [])


def run(script: str, env: Mapping[str, str]) -> str:
    """What a script of the manual prints, run where its reader would run it."""
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            f'clearway() {{ {shlex.join(COMMAND)} "$@"; }}\n{script}',
        ],
        cwd=env["BACKUPS"],
        env={"PATH": os.environ["PATH"], **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(world: World, script: str, **more: str) -> str:
    """The same for whoever runs this world."""
    backups = world.folder / "backups"
    backups.mkdir(exist_ok=True)
    own = {
        "REDIS": f"redis://{HOST}:{world.redis_port}",
        "REDIS_DIR": str(world.server.folder),
        "BACKUPS": str(backups),
    }
    return run(script, {**own, **world.settings(world.redis_port), **more})


def as_backup_user(world: World) -> str:
    """The URL of the user that the manual has for this alone."""
    found = re.search(r"`(ACL SETUSER clearway-backup [^`]+)`", MANUAL)
    assert found is not None
    with world.server.client() as link:
        link.execute_command(*found[1].split())
    return f"redis://clearway-backup:CHANGE-BACKUP@{HOST}:{world.redis_port}"


def put_back(world: World) -> None:
    """The loss of the server's data, and the backup that stands in for it."""
    (backup,) = (world.folder / "backups").glob("clearway-*.rdb")
    world.server.kill()
    shell(world, PUT_BACK, backup=str(backup))
    world.server.start()


def previewed(world: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        shell(world, PREVIEW.replace("--preview", "--preview --json"))
    )
    assert told["accepted"] is False
    assert bool(told["load_as_of_after"]) == bool(told["partitions"])
    preview: dict[str, Any] = told["preview"]
    return preview


def figures(told: dict[str, Any]) -> tuple[int, int]:
    return told["denied_again"], told["allowed_again"]


def noted(process: Process) -> list[Position]:
    """What its data folder knows to be acknowledged."""
    (marks,) = process.log.parent.glob("marks-*-????????????????")
    return [mark.position for mark in read_marks(marks)]


def remembered(world: World) -> int:
    """How many lost changes Redis has kept."""
    with world.server.client() as link:
        return sum(link.hlen(name) for name in keys.LOST)


@NEEDS_CLI
async def test_a_backup_comes_back_by_the_manual_and_the_preview_says_whom_that_harms(
    world: World, client: Client
) -> None:
    freed: Name = (next(NUMBERS), "sx", "1")
    twice: Name = (next(NUMBERS), "sx", "1")
    listed: Name = (next(NUMBERS), "xgl", "1")
    steady: Name = (next(NUMBERS), "sx", "1")
    for name in (freed, twice, steady, (twice[0], "xgl", "2")):
        await client.change("put", name, wait="all")
    await asyncio.to_thread(shell, world, BACKUP, REDIS=as_backup_user(world))
    for name in (freed, twice):
        await client.change("remove", name, wait="all")
    await client.change("put", listed, wait="all")
    await asyncio.to_thread(put_back, world)
    for name in (freed, twice, listed):
        await client.until(name[0], "refer")
    await client.until(steady[0], "deny")  # nothing is lost where this one is
    eventually(lambda: remembered(world) == 3)
    told = await asyncio.to_thread(previewed, world)
    assert figures(told) == (1, 1)  # `twice` is denied by another list, too
    assert told["complete"], told
    assert (told["changes_lost"], told["changes_remembered"]) == (3, 3)
    assert told["kept_until"] < told["lost_until"]
    assert {name: (each["ended"], each["added"]) for name, each in told["lists"].items()} == {
        "sx": (2, 0),
        "xgl": (0, 1),
    }
    await client.change("remove", freed)  # its source sends it again
    assert figures(await asyncio.to_thread(previewed, world)) == (0, 1)
    text = await asyncio.to_thread(shell, world, PREVIEW)
    assert "freed since: 0" in text
    assert "listed since: 1" in text
    assert "not known" not in text
    accepted = await asyncio.to_thread(shell, world, ACCEPT)
    assert "partitions accepted" in accepted
    for name, decision in ((freed, "allow"), (twice, "deny"), (steady, "deny"), (listed, "allow")):
        await client.until(name[0], decision)
    eventually(lambda: remembered(world) == 0)
    eventually(lambda: degraded(world.processes[0]) == [])
    assert "nothing was rewound" in await asyncio.to_thread(shell, world, PREVIEW)


async def test_what_is_remembered_outlives_a_restart_and_goes_with_the_load_that_makes_it_good(
    world: World, client: Client
) -> None:
    name: Name = (next(NUMBERS), "sx", "outlived")
    await client.change("put", name, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    await client.change("remove", name, wait="all")
    await asyncio.to_thread(restore)
    await client.until(name[0], "refer")
    eventually(lambda: remembered(world) == 1)
    (process,) = world.processes
    process.kill()
    process.start()
    world.all_ready()
    assert figures(await asyncio.to_thread(previewed, world)) == (1, 0)
    diff = world.folder / "changes.csv"
    as_of, dry = now(), ("--dry-run", "--diff", str(diff))
    assert await asyncio.to_thread(world.load, [], as_of, *dry) == 0, world.told
    told_of = [line.split(",") for line in diff.read_text().splitlines() if name[2] in line]
    assert [each[-2:] for each in told_of] == [["ended", "free"]]
    assert await asyncio.to_thread(world.load, [], as_of) == 0, world.told
    await client.until(name[0], "allow")
    told = await asyncio.to_thread(previewed, world)
    assert (figures(told), told["lists"], told["changes_lost"]) == ((0, 0), {}, 0)


async def test_a_full_file_of_one_list_makes_good_what_that_list_has_lost(
    world: World, client: Client
) -> None:
    name: Name = (next(NUMBERS), "sx", "1")
    await client.change("put", name, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    await client.change("remove", name, wait="all")
    await asyncio.to_thread(restore)
    await client.until(name[0], "refer")
    eventually(lambda: remembered(world) == 1)
    listed = rows(((name, SOURCE.now_ms()),))  # listed once more, the file says
    assert await asyncio.to_thread(world.load, listed, now(), lists=("sx",)) == 0, world.told
    told = await asyncio.to_thread(previewed, world)
    assert (figures(told), told["changes_remembered"]) == ((0, 0), 1)


async def test_where_nobody_ran_the_preview_says_how_much_is_lost_and_that_it_knows_no_more(
    world: World, client: Client
) -> None:
    name: Name = (next(NUMBERS), "sx", "1")
    (process,) = world.processes
    await client.change("put", name, wait="all")
    restore = await asyncio.to_thread(backup, world.server)
    await client.until(name[0], "deny")
    answer = await client.change("remove", name)
    (removed,) = plain(decoded(answer["position"]))
    eventually(lambda: removed in noted(process))
    process.kill()
    await asyncio.to_thread(restore)
    process.start()
    world.all_ready()
    await client.until(name[0], "refer")
    told = await asyncio.to_thread(previewed, world)
    assert (figures(told), told["complete"], told["changes_remembered"]) == ((0, 0), False, 0)
    assert told["changes_lost"] == 1
    text = await asyncio.to_thread(shell, world, PREVIEW)
    assert re.search("^not known: whom 1 of the lost changes concern", text, re.MULTILINE)
    assert (await asyncio.to_thread(world.run, "restored")).returncode == 0
    told = await asyncio.to_thread(previewed, world)
    assert (told["complete"], told["changes_lost"]) == (False, None)
    assert "changes lost: not known" in await asyncio.to_thread(shell, world, PREVIEW)


def test_accepting_wants_a_reason_and_a_preview_does_not(world: World) -> None:
    asked = world.run("accept")
    assert (asked.returncode, "--reason" in asked.stderr) == (2, True)
    for word in ("--preview", "--dry-run"):
        done = world.run("accept", word)
        assert (done.returncode, done.stdout) == (0, "nothing was rewound\n")


def test_an_embedded_server_comes_back_with_its_folder_and_what_it_lacks_is_noticed(
    tmp_path: Path,
) -> None:
    home, backups, source = (tmp_path / name for name in ("data", "backups", "list.csv"))
    backups.mkdir()
    source.write_text("entry_id,document_type,document_number\n")
    env = {"CLEARWAY_DATA_DIR": str(home), "BACKUPS": str(backups)}
    load = f"clearway load {source} --list sx --allow-empty --as-of 2020-01-0"
    run(f"{load}1T00:00:00Z", env)
    run(EMBEDDED, env)
    run(f"{load}2T00:00:00Z", env)
    shutil.rmtree(home / "appendonlydir")
    shutil.copytree(backups / "appendonlydir", home / "appendonlydir")
    process = Process(tmp_path, env)
    process.start()
    try:
        eventually(process.ready)
        eventually(lambda: degraded(process) == ["rewound"])
        assert "what is lost was acknowledged until" in run(PREVIEW, env)
    finally:
        process.kill(signal.SIGTERM)


@NEEDS_CLI
@pytest.mark.soak
async def test_a_backup_comes_back_before_replicas_that_sentinels_watch(
    valkey_binary: str,
) -> None:
    with running_sentinels(valkey_binary) as sentinels, ExitStack() as stack:
        primary, *replicas = sentinels.members
        world = World(stack, primary.server, stack.enter_context(folder()), sentinels.url)
        world.make_key()
        assert world.load([], "2020-01-01T00:00:00Z") == 0, world.told
        with primary.server.client() as link:
            link.set(keys.CANARY, "nobody")
        world.add_process(**SETTINGS)
        world.all_ready()
        client, name = Client(world), (next(NUMBERS), "sx", "1")
        await client.change("put", name, wait="all")
        await asyncio.to_thread(shell, world, BACKUP)
        await client.change("remove", name, wait="all")
        for port in sentinels.ports:
            sentinels.pause(port)
        for replica in replicas:
            replica.server.kill()
            shutil.rmtree(replica.server.folder / "appendonlydir")
        await asyncio.to_thread(put_back, world)
        for replica in replicas:
            replica.server.start()
        for port in sentinels.ports:
            sentinels.resume(port)
        async with asyncio.timeout(60):
            while await client.decisions(name[0]) != ["refer"]:  # noqa: ASYNC110 -- sentinels ring no bell
                await asyncio.sleep(0.05)
        eventually(lambda: remembered(world) == 1)
        assert figures(await asyncio.to_thread(previewed, world)) == (1, 0)
        accepted = await asyncio.to_thread(shell, world, ACCEPT)
        assert "partitions accepted" in accepted
        await client.until(name[0], "deny")
        assert sentinels.primary is primary
