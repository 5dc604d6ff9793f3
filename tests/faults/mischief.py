"""The faults of the soak, one after the other; each is healed before the next begins."""

from __future__ import annotations

import asyncio
import csv
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from roster import keys
from tests.faults.clients import rows
from tests.faults.history import LISTS, Accepted, Copied, Loaded, Lost
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from tests.faults.clients import Clients
    from tests.faults.clusters import Member, Sentinels
    from tests.faults.history import Event, Name
    from tests.faults.world import Process, World

T = TypeVar("T")
SHORT_S = 0.3
LONG_S = 2.5
DATA = "appendonlydir"
OTHERS = 10_000
BACKLOG = 300_000
CAUGHT_UP_S = 20.0
GENERATED_S = 300.0


Act: TypeAlias = "Callable[[Member], None]"
Rows: TypeAlias = "Sequence[Mapping[str, object]]"
Fault: TypeAlias = "Callable[[], Coroutine[None, None, None]]"


class File(NamedTuple):
    """What a whole file had when it was cut."""

    listed: tuple[tuple[Name, int], ...]
    as_of: int


class Mischief:
    """What can happen to a world with clients, and to others whose roster is beside it."""

    def __init__(
        self,
        clients: Clients,
        foreign_env: Mapping[str, str] | None = None,
        neighbours: Sequence[Clients] = (),
    ) -> None:
        self.clients = clients
        self.everybody = [clients, *neighbours]
        self.backlog_people = 0
        self.world = clients.world
        self.server = clients.world.server
        self.random = clients.random
        self.history = clients.history
        self._foreign_env = foreign_env
        self._begun_ms = 0

    def faults(self) -> list[Fault]:
        every: list[Fault] = [
            self.server_killed, self.server_stopped, self.flushed, self.rewound,
            self.rewound_and_loaded, self.loaded, self.crowd_loaded, self.old_file,
            self.process_killed, self.process_stopped, self.cut_off, self.all_cut_off,
        ]  # fmt: skip
        every += [self.another_locale] if self._foreign_env else []
        return [*every, self.backlog] if self.backlog_people else every

    async def make(self, until: float) -> None:
        """Every fault once in a random order, and again, until that time."""
        while time.monotonic() < until:
            order = self.faults()
            self.random.shuffle(order)
            for fault in order:
                await self._quiet(self.random.uniform(0.2, 0.8))
                if time.monotonic() > until:
                    return
                await fault()
                self.clients.figures[f"fault {fault.__name__}"] += 1

    async def server_killed(self) -> None:
        await self._off(self.server.kill)
        await self._quiet(self.random.choice((0.0, SHORT_S, LONG_S)))
        await self._off(self.server.start)

    async def server_stopped(self) -> None:
        self.server.pause()
        await self._quiet(self.random.choice((SHORT_S, LONG_S)))
        self.server.resume()

    async def flushed(self) -> None:
        """Everything is gone, the service's keys come back, and the lists are loaded again."""
        known = await self._off(self._api_keys)
        began = time.monotonic_ns()
        await self._off(self._flush)
        self.history.add(Lost("flushed", began, time.monotonic_ns()))
        await self._quiet(self.random.choice((0.0, SHORT_S)))
        await self._off(lambda: self._restore(known))
        await self.loaded()

    async def rewound(self) -> None:
        """The server comes back with data that it had before, and that is accepted."""
        await self._restored()
        for clients in self.everybody:
            await self._accepted(clients)

    async def rewound_and_loaded(self) -> None:
        """The same, then files come: one cut before what was lost, one of another list, all.

        Only the last ends it: until then nobody is denied where something was lost.
        """
        old = self._cut()
        await self._quiet((old.as_of + 1) / 1000 - time.time())
        await self._restored()
        for clients in self.everybody[1:]:
            await self._accepted(clients)
        await self._load_file(old, LISTS)
        await self._quiet(SHORT_S)
        await self._load_file(self._cut(), ("xgl",))
        await self._quiet(SHORT_S)
        await self.loaded()

    async def _restored(self) -> None:
        began = time.monotonic_ns()
        await self._off(self.server.stop)
        copy, place = self.server.folder / "copy", self.server.folder / DATA
        await self._off(lambda: shutil.copytree(place, copy))
        self._happened(Copied(began, time.monotonic_ns()))
        await self._off(self.server.start)
        await self._quiet(1.0)
        began = time.monotonic_ns()
        await self._off(self.server.kill)
        shutil.rmtree(place)
        copy.rename(place)
        await self._off(self.server.start)
        self._happened(Lost("rewound", began, time.monotonic_ns()))
        await self._quiet(1.5)

    async def _accepted(self, clients: Clients) -> None:
        began = time.monotonic_ns()
        done = await self._off(lambda: clients.world.run("accept", "--reason", "a test"))
        assert done.returncode == 0, done.stdout + done.stderr
        clients.history.add(Accepted(began, time.monotonic_ns()))

    def _happened(self, event: Event) -> None:
        """Write down what happened to the server, and so to every roster on it."""
        for clients in self.everybody:
            clients.history.add(event)

    async def loaded(self) -> None:
        """A whole file of now, again and again until it is loaded."""
        await self._loaded(())

    async def crowd_loaded(self) -> None:
        """The same beside thousands of others, as a national file has; the next ends them."""
        await self._loaded((await self._others(OTHERS),))

    async def backlog(self) -> None:
        """More is told than a poll reads, while one process stands still; then all follow."""
        process = self.random.choice(self.world.processes)
        others = await self._others(self.backlog_people)
        process.pause()
        await self._loaded((others,))
        process.resume()
        for each in self.world.processes:
            await self._off(lambda p=each: eventually(lambda: follows(p), CAUGHT_UP_S))  # type: ignore[misc]

    async def _loaded(self, beside: Sequence[str]) -> None:
        file = self._cut()
        await self._quiet((file.as_of + 1) / 1000 - time.time())
        await self._load_file(file, LISTS, beside)

    def _cut(self) -> File:
        """A whole file of this moment."""
        source = self.clients.source
        return File(source.listed(), source.now_ms())

    async def _load_file(
        self, file: File, lists: Sequence[str], beside: Sequence[str] = ()
    ) -> None:
        began = time.monotonic_ns()
        mine = tuple(item for item in file.listed if item[0][1] in lists)
        for _ in range(5):
            if await self._load(rows(mine), file.as_of, lists, beside) == 0:
                break
        else:
            raise AssertionError(self.world.told)
        self._begun_ms = file.as_of
        self.history.add(Loaded(tuple(lists), mine, file.as_of, began, time.monotonic_ns()))

    async def old_file(self) -> None:
        """An older file is refused, and changes nothing."""
        if self._begun_ms:
            assert await self._load([], self._begun_ms - 1000, LISTS) == 1

    async def process_killed(self) -> None:
        process = self.random.choice(self.world.processes)
        await self._off(process.kill)
        await self._quiet(self.random.choice((0.0, SHORT_S)))
        process.start()
        await self._off(self.world.all_ready)

    async def process_stopped(self) -> None:
        process = self.random.choice(self.world.processes)
        process.pause()
        await self._quiet(self.random.choice((SHORT_S, LONG_S)))
        process.resume()

    async def cut_off(self) -> None:
        cut = self.random.choice(self.world.cuts)
        await self._off(lambda: cut.tell(self.random.choice(("silence", "refuse"))))
        await self._quiet(self.random.choice((SHORT_S, LONG_S)))
        await self._off(lambda: cut.tell("heal"))

    async def all_cut_off(self) -> None:
        for cut in self.world.cuts:
            await self._off(lambda c=cut: c.tell("refuse"))  # type: ignore[misc]
        await self._quiet(SHORT_S)
        for cut in self.world.cuts:
            await self._off(lambda c=cut: c.tell("heal"))  # type: ignore[misc]

    async def another_locale(self) -> None:
        """The same data, served under another locale's order of strings."""
        await self._off(self.server.stop)
        abroad = dict(self._foreign_env or {})
        self.server._env = {"LC_ALL": "C"} if "LANG" in self.server._env else abroad
        await self._off(self.server.start)

    async def _load(
        self, given: Rows, at_ms: int, lists: Sequence[str], beside: Sequence[str] = ()
    ) -> int:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        as_of = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self._off(lambda: self.world.load(given, as_of, *beside, lists=lists))

    async def _others(self, people: int) -> str:
        """A file of so many people of both lists, none of whom the clients ask about."""
        path = self.world.folder / f"others-{people}.csv"
        if not path.exists():
            await self._off(lambda: written(path, people, self.world))
        return str(path)

    def _api_keys(self) -> dict[bytes, bytes]:
        with self.server.client() as client:
            found: dict[bytes, bytes] = client.hgetall(keys.KEYS)
            return found

    def _flush(self) -> None:
        with self.server.client() as client:
            client.flushdb()

    def _restore(self, known: dict[bytes, bytes]) -> None:
        with self.server.client() as client:
            client.hset(keys.KEYS, mapping=known)

    @staticmethod
    async def _off(do: Callable[[], T]) -> T:
        """What `do` returns; the clients go on meanwhile."""
        return await asyncio.to_thread(do)

    async def _quiet(self, duration_s: float) -> None:
        """Let that time pass, in which the clients go on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.clients.ended.wait(), max(0, duration_s))


def written(path: Path, people: int, world: World) -> None:
    """Write a list of at least so many entries in all, of both lists."""
    every = path.with_name("every.csv")
    size = ("--people", str(2 * people), "--entries", str(4 * people))
    done = world.run("generate", *size, "--out", str(every), timeout_s=GENERATED_S)
    assert done.returncode == 0, done.stderr
    left = people
    with every.open(encoding="utf-8", newline="") as file, path.open("w", encoding="utf-8") as out:
        reader = csv.DictReader(file)
        writer = csv.DictWriter(out, reader.fieldnames or ())
        writer.writeheader()
        for row in reader:
            if row["list"] in LISTS and row["document_type"] == "resident_id" and left:
                writer.writerow(row)
                left -= 1
    every.unlink()
    assert not left, "the generated list is too short"


def follows(process: Process) -> bool:
    """Whether a process is ready and has all news."""
    status, told = process.condition()
    return status == 200 and "stale" not in told["degraded"]


class FailOvers(Mischief):
    """What can happen to a world before sentinels."""

    def __init__(self, clients: Clients, sentinels: Sentinels) -> None:
        super().__init__(clients)
        self.sentinels = sentinels

    def faults(self) -> list[Fault]:
        every: list[Fault] = [
            self.primary_killed, self.primary_stopped, self.sentinel_silent, self.primary_parted,
            self.process_killed, self.loaded, self.crowd_loaded,
        ]  # fmt: skip
        return [*every, self.backlog] if self.backlog_people else every

    async def primary_killed(self) -> None:
        await self._left(lambda old: old.server.kill(), lambda old: old.server.start())

    async def primary_stopped(self) -> None:
        await self._left(lambda old: old.server.pause(), lambda old: old.server.resume())

    async def sentinel_silent(self) -> None:
        """The primary is killed while one of the sentinels says nothing."""
        silent = self.random.choice(self.sentinels.ports)
        self.sentinels.pause(silent)
        began = time.monotonic_ns()
        old = await self._off(lambda: self.sentinels.primary)
        await self._off(old.server.kill)
        await self._off(lambda: eventually(lambda: self.sentinels.primary is not old))
        await self._quiet(LONG_S)
        self.sentinels.resume(silent)
        await self._off(lambda: eventually(lambda: self.sentinels.complete(1)))
        await self._off(old.server.start)
        await self._off(lambda: eventually(self.sentinels.complete))
        self.history.add(Lost("failed over", began, time.monotonic_ns()))

    async def primary_parted(self) -> None:
        """The primary is cut off from replicas and sentinels, but not from the service."""
        await self._left(_part, _heal)

    async def _left(self, leave: Act, come_back: Act) -> None:
        """The primary leaves, another takes over, and it comes back as a replica."""
        old, began = self.sentinels.primary, time.monotonic_ns()
        await self._off(lambda: leave(old))
        await self._off(lambda: eventually(lambda: self.sentinels.primary is not old))
        await self._off(lambda: eventually(lambda: self.sentinels.complete(1)))
        await self._quiet(1.0)
        await self._off(lambda: come_back(old))
        await self._off(lambda: eventually(self.sentinels.complete))
        self.history.add(Lost("failed over", began, time.monotonic_ns()))


def _part(member: Member) -> None:
    assert member.cut is not None
    member.cut.tell("part")


def _heal(member: Member) -> None:
    assert member.cut is not None
    member.cut.tell("heal")
