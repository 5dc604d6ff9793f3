"""What checks are told while Redis is stopped, how fast, and how soon all is well again.

    python -m benchmarks outage [--people 20000] [--seconds 6] [--connections 16] [--json]

The embedded server is stopped (SIGSTOP) under a service that is asked as fast as it answers:
people on no list are allowed all the while, with `stale` when it is due; somebody who is on
the list is referred, and soon. Then the server goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import BenchmarkError, stage
from benchmarks.questions.edits import AIR, grounded
from benchmarks.questions.people import Paper, paper_of, sample
from benchmarks.removal import ENTRIES_A_PERSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

UNLISTED = 4_096
FALSE_HITS = 0.002
"""Twice what the filters are made for: these people have to ask Redis too."""
ASK_EVERY_S = 0.01
RECOVERY_TIMEOUT_S = 20.0


class Plan(msgspec.Struct, frozen=True):
    """How long, and by how many."""

    people: int
    seconds: float
    connections: int
    seed: int


class Cast(msgspec.Struct, frozen=True):
    """Who is asked about."""

    listed: Paper
    unlisted: Sequence[Paper]


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded."""

    share: float
    refer_ms: float
    recovery_s: float


class Crowd:
    """People on no list, asked about over and over; what was said, by the phase it was asked in."""

    def __init__(self, papers: Sequence[Paper]) -> None:
        """`phase` is counted under until it is another."""
        self.phase = "before"
        self.said: Counter[tuple[str, str]] = Counter()
        self.began: dict[str, float] = {}
        self._papers = papers
        self._ended = False

    def enter(self, phase: str) -> None:
        """Count under this phase from now on."""
        self.phase = phase
        self.began[phase] = time.perf_counter()

    def end(self) -> None:
        """Nobody asks any longer."""
        self.enter("ended")
        self._ended = True

    async def ask(self, connection: Connection) -> None:
        """Ask as fast as the answers come."""
        questions = [
            connection.request("/v1/check", {"document": paper.json(), "journey": AIR})
            for paper in self._papers
        ]
        at = 0
        while not self._ended:
            phase, at = self.phase, (at + 1) % len(questions)
            answer = (await connection.send(questions[at])).json()
            self.said[phase, said_of(answer)] += 1

    def rate(self, phase: str, until: str) -> float:
        """Answers a second in a phase."""
        count = sum(n for (named, _), n in self.said.items() if named == phase)
        return count / (self.began[until] - self.began[phase])


def said_of(answer: dict[str, object]) -> str:
    """The decision, and whether it is stale."""
    return f"{answer['decision']}{', stale' if answer['stale'] else ''}"


class Listed:
    """Somebody on the list, asked about a hundred times a second."""

    def __init__(self, connection: Connection, paper: Paper) -> None:
        """Nothing asked yet."""
        self._connection = connection
        self._question = connection.request("/v1/check", {"document": paper.json(), "journey": AIR})
        self.said: Counter[str] = Counter()
        self.slowest_ms = 0.0

    async def decision(self) -> str:
        """What is decided now."""
        sent = time.perf_counter()
        answer = (await self._connection.send(self._question)).json()
        self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - sent) * 1000)
        return str(answer["decision"])

    async def ask_for(self, seconds: float) -> None:
        """Ask all that time."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.said[await self.decision()] += 1
            await asyncio.sleep(ASK_EVERY_S)

    async def recovered_s(self) -> float:
        """How long it takes from now until a denial; raises BenchmarkError where it never does."""
        since = time.perf_counter()
        while await self.decision() != "deny":
            if time.perf_counter() > since + RECOVERY_TIMEOUT_S:
                raise BenchmarkError("the service does not recover")
            await asyncio.sleep(ASK_EVERY_S)
        return time.perf_counter() - since


async def figures(
    plan: Plan, limits: Limits, cast: Cast, connect: Callable[[], Connection], server_pid: int
) -> list[Figure]:
    """Everything, one phase after the other."""
    crowd = Crowd(cast.unlisted)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        opened = [await stack.enter_async_context(connect()) for _ in range(plan.connections + 1)]
        listed = Listed(opened[0], cast.listed)
        crowd.enter("warm")
        for connection in opened[1:]:
            tasks.create_task(crowd.ask(connection))
        await listed.ask_for(2.0)
        crowd.enter("before")
        await listed.ask_for(plan.seconds)
        os.kill(server_pid, signal.SIGSTOP)
        stopped = Listed(opened[0], cast.listed)
        crowd.enter("stopped")
        try:
            await stopped.ask_for(plan.seconds)
        finally:
            os.kill(server_pid, signal.SIGCONT)
            crowd.enter("after")
        recovered_s = await Listed(opened[0], cast.listed).recovered_s()
        crowd.enter("recovered")
        await listed.ask_for(2.0)
        crowd.end()
    return [*_crowd(crowd, plan, limits), *_listed(listed, stopped, recovered_s, limits)]


def _crowd(crowd: Crowd, plan: Plan, limits: Limits) -> Iterator[Figure]:
    before, during = crowd.rate("before", "stopped"), crowd.rate("stopped", "after")
    yield Figure(f"checks a second before, {plan.connections} connections", before)
    yield Figure("… while Redis is stopped", during)
    yield Figure("share of the rate kept", during / before, at_least=limits.share)
    for name in ("allow", "allow, stale"):
        yield Figure(f"such answers: {name}", crowd.said["stopped", name])
    denied = sum(n for (_, said), n in crowd.said.items() if said.startswith("deny"))
    yield Figure("people on no list who were denied", denied, at_most=0)
    referred = sum(n for (_, said), n in crowd.said.items() if said.startswith("refer"))
    share = referred / crowd.said.total()
    yield Figure("share of them referred: the filter's false hits", share, at_most=FALSE_HITS)
    late = sum(n for (at, said), n in crowd.said.items() if at == "recovered" and "stale" in said)
    yield Figure("stale answers once a denial was given again", late)


def _listed(
    listed: Listed, stopped: Listed, recovered_s: float, limits: Limits
) -> Iterator[Figure]:
    yield Figure("somebody listed, asked while Redis is stopped", stopped.said.total())
    wrong = stopped.said.total() - stopped.said["refer"] + listed.said.total() - listed.said["deny"]
    yield Figure("not referred then, or not denied else", wrong, at_most=0)
    yield Figure("slowest referral", stopped.slowest_ms, "ms", at_most=limits.refer_ms)
    yield Figure("from its return to a denial", recovered_s, "s", at_most=limits.recovery_s)


def measure(plan: Plan, limits: Limits) -> list[Figure]:
    """All figures, on a stage of its own."""
    with stage() as place:
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        with place.server():
            place.load(path)
            key = place.key("check")
            with place.serve() as service:
                cast = Cast(
                    paper_of(grounded(path)[0]), sample(path, 0.0, UNLISTED, plan.seed).unlisted
                )
                connect = partial(Connection, service.port, key)
                return asyncio.run(figures(plan, limits, cast, connect, place.server_pid))


@benchmark(__doc__)
@click.option("--people", default=20_000, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="Of each phase.")
@click.option("--connections", default=16, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--share", default=0.9, show_default=True)
@click.option("--refer-ms", default=100.0, show_default=True)
@click.option("--recovery-s", default=2.0, show_default=True)
def main(**options: float) -> Report:
    """What was measured."""
    limits = taken(Limits, options)
    plan = msgspec.convert(options, Plan, strict=False)
    return Report(measure(plan, limits))


if __name__ == "__main__":
    main()
