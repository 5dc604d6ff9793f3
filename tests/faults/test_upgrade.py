"""A version of before and this one before one roster, for as long as you like.

`before/48c2f95.tar.xz` is the code of that commit, but for the status page's files.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import tarfile
import time
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from roster import keys
from roster.build import build
from roster.redis.calls import library
from tests.faults.world import NOW, Caller, Process, World
from tests.servers import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.servers import Server

COMMIT = "48c2f95"
STEADY, MOVING, ROUNDS = 40, 12, 60
AIR = {"mode": "air"}
PATIENT = {"redis_timeout_ms": "1000"}
"""A machine that is busy with other tests is no fault of a version."""
AT_ONCE = {**PATIENT, "drain_s": "0"}
"""For a version that drains; whoever retires it here has led traffic elsewhere."""


def passport(number: int) -> dict[str, str]:
    return {"type": "passport", "issuer": "CHN", "number": f"E{number:08d}"}


def rows() -> list[dict[str, object]]:
    """The file: who is listed throughout."""
    return [
        {
            "list": "sx",
            "entry_id": f"70000{number}",
            "document_type": "passport",
            "document_number": passport(number)["number"],
            "document_issuer": "CHN",
        }
        for number in range(STEADY)
    ]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The code of before."""
    with tarfile.open(Path(__file__).parent / "before" / f"{COMMIT}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / COMMIT / "service" / "page").mkdir()
    return tmp_path / COMMIT


@pytest.fixture
def world(make_server: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
    server = make_server({"port": str(free_port())})
    with ExitStack() as stack:
        yield World(stack, server, tmp_path)


class Traffic:
    """Checks and changes on every process that serves, and what went wrong with them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.serving: list[Process] = []
        self.busy: Counter[int] = Counter()
        self.rounds = 0
        self.checks = 0
        self.wrong: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each()) for each in (self._check, self._change)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self.wrong += [repr(each) for each in ended if isinstance(each, Exception)]

    async def more(self, rounds: int = ROUNDS) -> None:
        """Nothing; so many more changes have been made, and seen by every process."""
        until = self.rounds + rounds
        async with asyncio.timeout(60):
            while self.rounds < until and not self.wrong:  # noqa: ASYNC110 -- other tasks make it so
                await asyncio.sleep(0.01)

    async def add(self, *processes: Process) -> None:
        """Nothing; these serve from now on."""
        async with asyncio.timeout(60):
            for process in processes:
                while not await asyncio.to_thread(process.ready):
                    assert process.running, process.log.read_text()[-2000:]
        self.serving += processes

    async def retire(self, process: Process) -> None:
        """Nothing; this one serves nobody, and has ended in order."""
        self.serving.remove(process)
        async with asyncio.timeout(10):
            while self.busy[process.port]:  # noqa: ASYNC110 -- other tasks make it so
                await asyncio.sleep(0.005)
        await asyncio.to_thread(process.kill, signal.SIGTERM)

    async def _post(self, process: Process, path: str, body: object) -> Any:  # noqa: ANN401 -- JSON
        """The answer; anything but a 200 is wrong."""
        self.busy[process.port] += 1
        caller = Caller(process.port, self._world.key)
        try:
            status, answer = await caller.post(path, body)
        finally:
            caller.close()
            self.busy[process.port] -= 1
        if status != 200:
            self._note(process, f"{path}: {status} {answer}")
            return {}
        return answer

    def _note(self, process: Process, what: str) -> None:
        self.wrong.append(f"{self.rounds} {'now' if process.home == NOW else 'before'}: {what}")

    async def _expect(self, process: Process, number: int, decision: str) -> None:
        answer = await self._post(
            process, "/v1/check", {"document": passport(number), "journey": AIR}
        )
        self.checks += 1
        if answer.get("decision") != decision or answer.get("stale"):
            self._note(process, f"{number} is {answer}, not {decision}")

    async def _check(self) -> None:
        for number in itertools.cycle(range(STEADY)):
            for process in tuple(self.serving):
                await self._expect(process, number, "deny")
                await self._expect(process, 1_000_000 + number, "allow")

    async def _change(self) -> None:
        """One after the other is put and removed, by any process, and seen by all."""
        for turn in itertools.count():
            number, put = 500_000 + turn % MOVING, turn // MOVING % 2 == 0
            change: dict[str, Any] = {
                "op": "put" if put else "remove",
                "list": "sx",
                "entry_id": f"m/{number}",
                "document": passport(number),
            }
            if put:
                change |= {"revision": _now_ms(), "entry": {"court": f"c{turn % 5}"}}
            elif turn % 3:
                change["revision"] = _now_ms()
            process = self.serving[turn % len(self.serving)]
            body = {"changes": [change], "wait": "all", "timeout_ms": 4_000}
            answer = await self._post(process, "/v1/changes", body)
            told = answer.get("results", [{}])[0].get("outcome"), answer.get("processes", {})
            if told[0] != "applied" or told[1].get("missing"):
                self._note(process, f"{change['op']}: {told}")
            for each in tuple(self.serving):
                await self._expect(each, number, "deny" if put else "allow")
            self.rounds += 1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def load(world: World, as_of: str) -> None:
    path = world.folder / "list.csv"
    columns = list(rows()[0])
    lines = [",".join(columns), *(",".join(map(str, row.values())) for row in rows())]
    path.write_text("\n".join(lines) + "\n")
    limits = ("--max-removals", "1000", "--max-additions", "1000", "--jobs", "1")
    done = world.run("load", str(path), "--list", "sx", "--as-of", as_of, *limits)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(240)
async def test_old_and_new_processes_serve_side_by_side_and_back_again_and_nobody_notices(
    world: World, before: Path
) -> None:
    world.home = before
    world.make_key()
    load(world, "2001-01-01T00:00:00Z")
    traffic = Traffic(world)
    first, second = (world.add_process(**PATIENT) for _ in range(2))
    world.home = NOW
    await traffic.add(first, second)
    async with traffic.running():
        await traffic.more()
        await traffic.add(new := world.add_process(**AT_ONCE))
        await traffic.more()
        await traffic.retire(first)
        await traffic.more()
        await asyncio.to_thread(load, world, "2002-01-01T00:00:00Z")
        await traffic.more()
        world.home = before
        await asyncio.to_thread(load, world, "2003-01-01T00:00:00Z")
        world.home = NOW
        await traffic.more()
        await traffic.add(newer := world.add_process(**AT_ONCE))
        await traffic.more()
        await traffic.retire(second)
        await traffic.more()
        said = [process.condition()[1] for process in (new, newer)]
        world.home = before
        for each in (new, newer):
            await traffic.add(world.add_process(**PATIENT))
            await traffic.retire(each)
            await traffic.more(10)
    assert traffic.wrong == [], len(traffic.wrong)
    assert traffic.checks > traffic.rounds > 7 * ROUNDS - 1
    assert [process.home for process in traffic.serving] == [before, before]
    assert {(each["build"], each["library"]) for each in said} == {(build(), library().name)}
    with world.server.client() as client:
        names = {each[each.index(b"library_name") + 1].decode() for each in client.function_list()}
        assert names == {"clearway_1", library().name}
        loads = client.info("commandstats")["cmdstat_function|load"]["calls"]
        assert loads <= 4


@pytest.mark.timeout(120)
async def test_an_empty_roster_is_founded_for_the_process_of_before_that_follows_it(
    world: World, before: Path
) -> None:
    world.home = before
    world.make_key()
    traffic = Traffic(world)
    old = world.add_process(**PATIENT)
    world.home = NOW
    with world.server.client() as client:
        eventually(lambda: client.hlen(keys.PROCESSES) > 0)
    await asyncio.to_thread(load, world, "2001-01-01T00:00:00Z")
    await traffic.add(old, world.add_process(**PATIENT))
    async with traffic.running():
        await traffic.more()
    assert traffic.wrong == [], len(traffic.wrong)


@pytest.mark.timeout(120)
async def test_a_version_of_before_says_so_where_it_cannot_open_a_roster(
    world: World, before: Path
) -> None:
    world.make_key()
    load(world, "2001-01-01T00:00:00Z")
    world.home = before
    old = world.add_process(**PATIENT)
    async with asyncio.timeout(60):
        while old.running:  # noqa: ASYNC110 -- it ends by itself
            await asyncio.sleep(0.05)
    assert old.status == 1
    assert "another ID key or another scheme" in old.log.read_text()
    path = str(world.folder / "list.csv")
    again = world.run("load", path, "--list", "sx", "--as-of", "2002-01-01T00:00:00Z")
    assert again.returncode == 1
    assert "another ID key or another scheme" in again.stderr
    world.home = NOW
    load(world, "2002-01-01T00:00:00Z")


@pytest.mark.timeout(120)
async def test_a_version_of_before_takes_no_test_key_for_a_real_one(
    world: World, before: Path
) -> None:
    world.home = before
    world.make_key()
    load(world, "2001-01-01T00:00:00Z")
    old = world.add_process(**PATIENT)
    await Traffic(world).add(old)
    world.home = NOW
    made = world.run("keys", "create", "--sandbox", "--name", "client", "--scopes", "check")
    world.home = before
    identifier = "_".join(made.stdout.split("_")[1:3])
    rotated = world.run("keys", "rotate", identifier)
    statuses = []
    for text in (made.stdout, rotated.stdout, world.key):
        caller = Caller(old.port, text.strip())
        body = {"document": passport(1), "journey": AIR}
        statuses.append((await caller.post("/v1/check", body))[0])
        caller.close()
    assert statuses == [401, 401, 200]
    world.home = NOW
    listed = json.loads(world.run("keys", "list", "--json").stdout)
    sandbox = {each["id"] for each in listed if each["sandbox"]}
    assert sandbox == {identifier}, "what that version wrote is a test key's still"


def test_a_version_of_before_reads_revokes_and_rotates_keys_with_two_texts(
    world: World, before: Path
) -> None:
    world.make_key()
    identifier = world.key.split("_")[1]
    assert world.run("keys", "rotate", identifier, "--overlap", "1h").returncode == 0
    world.home = before
    listed = world.run("keys", "list", "--json")
    assert json.loads(listed.stdout)[0]["id"] == identifier, listed.stderr
    assert world.run("keys", "rotate", identifier).returncode == 0
    world.home = NOW
    assert json.loads(world.run("keys", "list", "--json").stdout)[0]["old_text_until"] == ""
    world.home = before
    assert world.run("keys", "revoke", identifier).returncode == 0
    world.home = NOW
    assert json.loads(world.run("keys", "list", "--json").stdout)[0]["state"] == "revoked"
