"""What a process does that is asked more than it can answer: it refuses what is too much.

    python -m benchmarks overload [--people 20000] [--seconds 5] [--connections 16,256] [--json]

So many connections ask as fast as they are answered, half of them about people on the list.
Meanwhile /readyz is asked as a load balancer does, on a new connection each time, somebody on
the list is asked about, and entries are put on and taken off the list.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.pressure import Load, Pressed, press
from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import stage
from benchmarks.questions.edits import AIR, Times, addition, grounded, removal
from benchmarks.questions.people import Paper, paper_of, sample, unlisted
from benchmarks.removal import ENTRIES_A_PERSON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.measuring.stage import Running, Stage

PROBE_S = 0.05
ASK_S = 0.05
CHANGE_S = 0.05
BODIES = 4_096
T = TypeVar("T")
SCOPES = ("check", "list:add", "list:remove", "ops")


class Cast(msgspec.Struct, frozen=True):
    """Who is asked about: a file of bodies, and people who are denied."""

    bodies: Path
    listed: Sequence[Paper]


class Watched(msgspec.Struct):
    """What was seen beside the load."""

    probes: Times
    removals: Times
    told: Counter[str]


class Round(msgspec.Struct, frozen=True):
    """One number of connections, and how it went; `referred` is of all checks."""

    connections: int
    pressed: Pressed
    watched: Watched
    referred: int

    @property
    def accepted_per_s(self) -> float:
        """Checks that were answered."""
        return (self.pressed.requests - self.pressed.failed) / self.pressed.seconds


def prepared(where: Stage, people: int, seed: int) -> Cast:
    """A list of so many people, loaded; bodies about some of them and about others."""
    path = where.generate(people, round(people * ENTRIES_A_PERSON), seed)
    where.load(path)
    listed = [paper_of(row) for row in grounded(path)][: BODIES // 2]
    others = sample(path, 0, BODIES // 2, seed).unlisted
    asked = [paper for pair in zip(listed, others, strict=False) for paper in pair]
    lines = [msgspec.json.encode({"document": one.json(), "journey": AIR}) for one in asked]
    bodies = where.folder / "bodies.jsonl"
    bodies.write_bytes(b"\n".join(lines) + b"\n")
    return Cast(bodies, listed)


async def again(every_s: float, do: Callable[[], Awaitable[None]]) -> None:
    """Never returns: does it at a steady pace, or as fast as it goes."""
    due = time.monotonic()
    while True:
        await do()
        due = max(due + every_s, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


class Watch:
    """What goes on beside the load, each on a connection of its own."""

    def __init__(self, port: int, key: str, cast: Cast, seed: int) -> None:
        """Nothing has been seen."""
        self._port = port
        self._key = key
        self._cast = cast
        self._chance = random.Random(seed)
        self.seen = Watched(Times(), Times(), Counter())

    async def during(self, load: Callable[[], T]) -> T:
        """What the load says of itself; meanwhile all is watched."""
        async with AsyncExitStack() as stack:
            self._asker, self._maker = [
                await stack.enter_async_context(Connection(self._port, self._key)) for _ in range(2)
            ]
            tasks = [
                asyncio.create_task(again(every_s, do))
                for every_s, do in (
                    (PROBE_S, self._probe),
                    (ASK_S, self._ask),
                    (CHANGE_S, self._change),
                )
            ]
            try:
                return await asyncio.to_thread(load)
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                for each in ended:
                    if isinstance(each, Exception):
                        raise each

    async def _probe(self) -> None:
        since = time.perf_counter()
        async with Connection(self._port) as connection:
            answer = await connection.get("/readyz")
        self.seen.probes.add(since)
        self.seen.told[f"/readyz {answer.status}"] += 1

    async def _ask(self) -> None:
        paper = self._chance.choice(self._cast.listed)
        question = {"document": paper.json(), "journey": AIR}
        answer = await self._asker.post("/v1/check", question)
        if answer.status == 429:
            self.seen.told["refused"] += 1
        else:
            self.seen.told[answer.json()["decision"]] += 1

    async def _change(self) -> None:
        paper = unlisted(self._chance)
        put = addition(self._chance, paper)
        (await self._maker.post("/v1/changes", {"changes": [put]})).json()
        row: dict[str, Any] = {"document_type": paper.type, "document_number": paper.number}
        row |= {"list": "sx", "entry_id": put["entry_id"], "document_issuer": ""}
        gone = removal(row)
        since = time.perf_counter()
        (await self._maker.post("/v1/changes", {"changes": [gone]})).json()
        self.seen.removals.add(since)


async def measure(running: Running, key: str, cast: Cast, load: tuple[int, float]) -> Round:
    """One number of connections, for so many seconds."""
    connections, seconds = load
    watch = Watch(running.port, key, cast, connections)
    before = await referred(running.port, key)
    url = f"http://127.0.0.1:{running.port}/v1/check"
    what = Load(cast.bodies, url, connections, seconds, key)
    pressed = await watch.during(lambda: press(what))
    return Round(connections, pressed, watch.seen, await referred(running.port, key) - before)


async def referred(port: int, key: str) -> int:
    """How many checks have been referred so far."""
    async with Connection(port, key) as connection:
        told = (await connection.get("/v1/roster")).json()
    return sum(int(each["refer"]) for each in told["decisions"].values())


def figures(rounds: Sequence[Round], limit_ms: float, share: float) -> list[Figure]:
    """What was measured, with what it has to keep."""
    found: list[Figure] = []
    for each in rounds:
        name, seen = f"{each.connections} connections: ", each.watched
        least = share * rounds[0].accepted_per_s if each is not rounds[0] else None
        wrong = sum(
            count
            for told, count in seen.told.items()
            if told not in {"deny", "refused", "/readyz 200"}
        )
        found += [
            Figure(f"{name}checks answered", each.accepted_per_s, "/s", at_least=least),
            Figure(f"{name}refused", each.pressed.failed / each.pressed.seconds, "/s"),
            Figure(f"{name}a check, p99", each.pressed.p99_ms, "ms"),
            Figure(f"{name}/readyz, p99", seen.probes.ms(99), "ms", at_most=limit_ms),
            Figure(f"{name}/readyz, longest", seen.probes.ms(100), "ms"),
            Figure(f"{name}a removal, p99", seen.removals.ms(99), "ms", at_most=limit_ms),
            Figure(f"{name}checks referred", each.referred, "", at_most=0),
            Figure(f"{name}somebody listed, not denied or refused", wrong, "", at_most=0),
        ]
    return found


@benchmark(__doc__)
@click.option("--people", default=20_000, show_default=True, type=click.IntRange(100))
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(1))
@click.option("--connections", default="16,256,1500", show_default=True)
@click.option("--limit-ms", default=100.0, show_default=True, help="Of /readyz and removals.")
@click.option("--share", default=0.8, show_default=True, help="Of the first round's checks.")
@click.option("--seed", default=1, show_default=True)
def main(**options: Any) -> Report:  # noqa: ANN401 -- click's
    """What was measured."""
    counts = [int(each) for each in options["connections"].split(",")]
    with stage() as where:
        cast = prepared(where, options["people"], options["seed"])
        key = where.key(*SCOPES)
        with where.serve() as running:
            rounds = [
                asyncio.run(measure(running, key, cast, (count, options["seconds"])))
                for count in counts
            ]
    return Report(figures(rounds, options["limit_ms"], options["share"]))


if __name__ == "__main__":
    main()
