"""The faults of the soak, one after the other; each is healed before the next begins."""

from __future__ import annotations

import asyncio
import csv
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from roster import keys
from tests.faults.clients import LISTS, rows
from tests.faults.history import Accepted, Copied, Loaded, Lost
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from tests.faults.clients import Clients
    from tests.faults.clusters import Member, Sentinels

T = TypeVar("T")
SHORT_S = 0.3
LONG_S = 2.5
DATA = "appendonlydir"
OTHERS = 10_000


Act: TypeAlias = "Callable[[Member], None]"
Rows: TypeAlias = "Sequence[Mapping[str, object]]"
Fault: TypeAlias = "Callable[[], Coroutine[None, None, None]]"


class Mischief:
    """What can happen to a world with clients."""

    def __init__(self, clients: Clients, foreign_env: Mapping[str, str] | None) -> None:
        self.clients = clients
        self.world = clients.world
        self.server = clients.world.server
        self.random = clients.random
        self.history = clients.history
        self._foreign_env = foreign_env
        self._begun_ms = 0

    def faults(self) -> list[Fault]:
        every: list[Fault] = [
            self.server_killed, self.server_stopped, self.flushed, self.rewound, self.loaded,
            self.crowd_loaded, self.old_file, self.process_killed, self.process_stopped,
            self.cut_off, self.all_cut_off,
        ]  # fmt: skip
        return [*every, self.another_locale] if self._foreign_env else every

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
        """The server comes back with data that it had before."""
        began = time.monotonic_ns()
        await self._off(self.server.stop)
        copy, place = self.server.folder / "copy", self.server.folder / DATA
        await self._off(lambda: shutil.copytree(place, copy))
        self.history.add(Copied(began, time.monotonic_ns()))
        await self._off(self.server.start)
        await self._quiet(1.0)
        began = time.monotonic_ns()
        await self._off(self.server.kill)
        shutil.rmtree(place)
        copy.rename(place)
        await self._off(self.server.start)
        self.history.add(Lost("rewound", began, time.monotonic_ns()))
        await self._quiet(1.5)
        began = time.monotonic_ns()
        done = await self._off(lambda: self.world.run("accept", "--reason", "a test"))
        assert done.returncode == 0, done.stdout + done.stderr
        self.history.add(Accepted(began, time.monotonic_ns()))

    async def loaded(self) -> None:
        """A whole file of now, again and again until it is loaded."""
        await self._loaded(())

    async def crowd_loaded(self) -> None:
        """The same beside thousands of others, as a national file has; the next ends them."""
        await self._loaded(await self._off(self._others))

    async def _loaded(self, others: Rows) -> None:
        listed = self.clients.source.listed()
        as_of = self.clients.source.now_ms()
        await self._quiet((as_of + 1) / 1000 - time.time())
        began = time.monotonic_ns()
        for _ in range(5):
            if await self._load([*rows(listed), *others], as_of) == 0:
                break
        else:
            raise AssertionError(self.world.told)
        self._begun_ms = as_of
        self.history.add(Loaded(("sx", "xgl"), listed, as_of, began, time.monotonic_ns()))

    async def old_file(self) -> None:
        """An older file is refused, and changes nothing."""
        if self._begun_ms:
            assert await self._load([], self._begun_ms - 1000) == 1

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

    async def _load(self, given: Rows, at_ms: int) -> int:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        as_of = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self._off(lambda: self.world.load(given, as_of))

    def _others(self) -> Rows:
        """A generated list of both lists' people, none of whom the clients ask about."""
        path = self.world.folder / "others.csv"
        if not path.exists():
            size = ("--people", str(OTHERS), "--entries", str(2 * OTHERS))
            done = self.world.run("generate", *size, "--out", str(path))
            assert done.returncode == 0, done.stderr
        with path.open(encoding="utf-8", newline="") as file:
            return [
                row
                for row in csv.DictReader(file)
                if row["list"] in LISTS and row["document_type"] == "resident_id"
            ]

    def _api_keys(self) -> dict[bytes, bytes]:
        with self.server.client() as client:
            found: dict[bytes, bytes] = client.hgetall(keys.KEYS)
            return found

    def _flush(self) -> None:
        with self.server.client() as client:
            client.flushall()

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


class FailOvers(Mischief):
    """What can happen to a world before sentinels."""

    def __init__(self, clients: Clients, sentinels: Sentinels) -> None:
        super().__init__(clients, None)
        self.sentinels = sentinels

    def faults(self) -> list[Fault]:
        return [
            self.primary_killed,
            self.primary_stopped,
            self.process_killed,
            self.loaded,
            self.crowd_loaded,
        ]

    async def primary_killed(self) -> None:
        await self._left(lambda old: old.server.kill(), lambda old: old.server.start())

    async def primary_stopped(self) -> None:
        await self._left(lambda old: old.server.pause(), lambda old: old.server.resume())

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
