"""Loads killed at random moments: everybody is as before or as after, and a second run completes.

`SOAK_SEED` repeats a run's choices, though not its timing.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import redis

from roster.documents.check_digits import check_digit
from tests.faults.clusters import folder
from tests.faults.world import COMMAND, Caller, Process, _plain_env
from tests.servers import DEADLINE_S, eventually
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

NATION = 4_400_000
AREAS = ("110105", "120101", "210102", "310115", "320106", "330106", "440305", "500103")
AN_AREA = 79_200
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
AWAY, LISTED, OVER, EDITED = range(4)
"""What a file says of a person: nothing, an open term, one that is over, another court."""
DECISIONS = {AWAY: "allow", LISTED: "deny", OVER: "allow", EDITED: "deny"}
REWRITE = "auto-aof-rewrite-percentage"
COLUMNS = "list,entry_id,document_type,document_number,name,revision,from,until,case,court\n"


def number(n: int) -> str:
    """The nth person's: nobody alive can own it."""
    place = n % AN_AREA
    digits = f"{AREAS[n // AN_AREA]}{1800 + place % 80}0101{place // 80:03d}"
    return digits + check_digit(digits)


def lines(n: int, what: int, revision: int) -> Iterator[str]:
    """The nth person's rows: seven in nine have two."""
    if what == AWAY:
        return
    until = "2019-06-30" if what == OVER else ""
    court = "上海市徐汇区人民法院" if what == EDITED else "北京市朝阳区人民法院"
    for party in range(1, 3 if n % 9 < 7 else 2):
        case = f"(2018)京0105执{n % 29_000 + 1}号"
        yield (
            f"sx,{case}/{party},resident_id,{number(n)},张某某,{revision},2018-03-01,{until},"
            f"{case},{court}\n"
        )


class Source:
    """Whole files of one list, each some edits after the last."""

    def __init__(self, people: int, seed: int) -> None:
        """The first file names most of these people."""
        self.random = random.Random(seed)
        self.day = 0
        self.before = [AWAY] * people
        self.now = [LISTED if n % 20 else AWAY for n in range(people)]
        self._revisions = [self._revision()] * people

    def as_of(self) -> str:
        return (FIRST_DAY + timedelta(days=self.day)).isoformat()

    def edit(self) -> None:
        """Some are taken off, some put on, some terms end, some entries are otherwise now."""
        self.day += 1
        self.before = list(self.now)
        for what in (AWAY, LISTED, LISTED, OVER, EDITED):
            for n in self.random.sample(range(len(self.now)), len(self.now) // 400):
                self.now[n], self._revisions[n] = what, self._revision()

    def write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.write(COLUMNS)
            for n, what in enumerate(self.now):
                file.writelines(lines(n, what, self._revisions[n]))

    def sample(self) -> list[int]:
        """People to ask about: of every kind of change, and unchanged ones."""
        changed = [n for n, what in enumerate(self.now) if what != self.before[n]]
        chosen = self.random.sample(changed, min(600, len(changed)))
        return chosen + self.random.sample(range(len(self.now)), 300)

    def _revision(self) -> int:
        moment = FIRST_DAY + timedelta(days=self.day, hours=-1)
        return int(moment.timestamp() * 1000)


class Took(NamedTuple):
    """How long a whole load took until it read its file, and from then on."""

    start_s: float
    work_s: float


class Place:
    """A service on an embedded server of its own, and loads of a source's files."""

    def __init__(self, stack: ExitStack, source: Source) -> None:
        self.source = source
        self.folder = stack.enter_context(folder())
        self.path = self.folder / "list.csv"
        self._env = {"CLEARWAY_DATA_DIR": str(self.folder / "d"), "CLEARWAY_LOG_LEVEL": "warning"}
        self.service = Process(self.folder, self._env)
        stack.callback(self.service.kill, signal.SIGTERM)
        self.service.start()
        made = self.run("keys", "create", "--name", "tests", "--scopes", "check")
        eventually(lambda: self.service.condition()[0] != 0)
        self._key = made.strip()

    def run(self, *arguments: str) -> str:
        """What a command prints that ends with status 0."""
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        return out

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """A command, in a process group of its own."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env={**_plain_env(), **self._env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def loading(self) -> tuple[str, ...]:
        """The command that loads the source's file, with two worker processes."""
        return ("load", str(self.path), "--list", "sx", "--as-of", self.source.as_of(),
                "--json", "--jobs", "2")  # fmt: skip

    def load(self) -> Took:
        """A whole load, undisturbed."""
        self.source.write(self.path)
        began = time.monotonic()
        summary = json.loads(self.run(*self.loading))
        whole = time.monotonic() - began
        return Took(whole - summary["seconds"], summary["seconds"])

    def killed(self, took: Took, share: float) -> bool:
        """Whether a load was under way when all its processes were killed."""
        with self.started(*self.loading) as process:
            try:
                process.communicate(timeout=took.start_s + share * took.work_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=DEADLINE_S)
        return process.returncode == -signal.SIGKILL

    def decisions(self, people: list[int]) -> list[str]:
        """What the service decides of these people who want to fly."""
        return asyncio.run(self._decisions(people))

    async def _decisions(self, people: list[int]) -> list[str]:
        items = [{"document": {"type": "resident_id", "number": number(n)}} for n in people]
        caller = Caller(self.service.port, self._key)
        try:
            body = {"journey": {"mode": "air"}, "items": items}
            status, answer = await caller.post("/v1/check/batch", body, timeout_s=DEADLINE_S)
        finally:
            caller.close()
        assert status == 200, answer
        return [each["decision"] for each in answer["results"]]

    def rewrites(self) -> bool:
        """Whether the server rewrites its log by itself, as it does but during a load."""
        with redis.Redis(unix_socket_path=str(self.folder / "d" / "valkey.sock")) as client:
            return bool(client.config_get(REWRITE) == {REWRITE: "100"})


def right(decisions: list[str], *allowed: list[str]) -> list[int]:
    """Which decisions are none of those that may be: their places."""
    return [at for at, made in enumerate(decisions) if made not in {each[at] for each in allowed}]


def kill_once(place: Place, took: Took, share: float, *, covered: bool) -> bool:
    """One load killed and run again; whether the kill found it alive.

    Before a list that is required is `covered`, everybody is referred.
    """
    source = place.source
    people = source.sample()
    old = [DECISIONS[source.before[n]] if covered else "refer" for n in people]
    new = [DECISIONS[source.now[n]] for n in people]
    source.write(place.path)
    hit = place.killed(took, share)
    for _ in range(3):
        assert right(place.decisions(people), old, new) == [], f"killed at {share:.3f}"
    eventually(place.rewrites, 10)
    place.run(*place.loading)
    assert place.rewrites()
    eventually(lambda: place.decisions(people) == new, 5)
    verdict = json.loads(place.run("verify", str(place.path), "--list", "sx", "--json",
                                   "--as-of", source.as_of()))  # fmt: skip
    assert verdict["equal"]
    return hit


def moments(count: int, chance: random.Random) -> list[float]:
    """Shares of a load's time, one in each of so many equal parts, in a random order."""
    made = [(part + chance.random()) / count for part in range(count)]
    chance.shuffle(made)
    return made


def first_loads(people: int, kills: int, seed: int) -> int:
    """How many kills of first loads found them alive; each is on a roster of its own."""
    chance = random.Random(seed)
    took: Took | None = None
    hits = 0
    for share in moments(kills, chance):
        with ExitStack() as stack:
            if took is None:
                took = Place(stack, Source(people, seed)).load()
            place = Place(stack, Source(people, chance.randrange(1 << 30)))
            hits += kill_once(place, took, share, covered=False)
    return hits


def reloads(people: int, kills: int, seed: int) -> int:
    """How many kills of reloads found them alive; all are on one roster."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        place = Place(stack, Source(people, seed))
        place.load()
        place.source.edit()
        took, hits = place.load(), 0
        for share in moments(kills, chance):
            place.source.edit()
            hits += kill_once(place, took, share, covered=True)
    return hits


def seed() -> int:
    chosen = int(os.environ.get("SOAK_SEED", time.time_ns() % 1_000_000))
    tell(f"\nseed {chosen}")
    return chosen


def tell(text: str) -> None:
    print(text)  # noqa: T201 -- the figures are half of what a soak is for


@pytest.mark.timeout(180)
def test_a_first_load_may_be_killed_at_any_moment() -> None:
    assert first_loads(NATION // 200, 2, seed()) >= 1


@pytest.mark.timeout(180)
def test_a_reload_may_be_killed_at_any_moment() -> None:
    assert reloads(NATION // 200, 3, seed()) >= 1


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_tenth_of_the_nation_may_be_killed_at_any_moment() -> None:
    chosen = seed()
    hits = first_loads(NATION // 10, 8, chosen) + reloads(NATION // 10, 12, chosen)
    tell(f"{hits} of 20 kills found the load alive")
    assert hits >= 10
