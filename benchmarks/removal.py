"""How fast a removal is, one by one and by the thousand, and how soon an addition is denied.

    python -m benchmarks removal [--single 2000] [--rate 5000] [--seconds 30] [--json]

Two service processes on an embedded server that syncs every write. Removals go through one,
checks to the other: whoever's removal is acknowledged must be allowed there at once, who is
still listed must be denied. Lag counts from the moment at which a batch was due, so a batch
that had to wait is counted with its wait. CPU is that of the batches' time, checks included.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.disk import Disk
from benchmarks.measuring.procs import cpu_s
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import BenchmarkError, stage
from benchmarks.questions.edits import (
    Times,
    decision,
    grounded,
    removal,
)
from benchmarks.questions.people import Paper, Row, paper_of
from benchmarks.shared.additions import Additions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measuring.stage import Running

CHANGERS = 4
ENTRIES_A_PERSON = 1.784


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    single: int
    rate: int
    seconds: int
    batch: int
    additions: int
    seed: int

    @property
    def people(self) -> int:
        """How many people a list must have for all of these removals."""
        return self.removals * 3 + 1_000

    @property
    def removals(self) -> int:
        """How many there are in all."""
        return self.single + self.rate * self.seconds


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded, in milliseconds."""

    p50_ms: float
    p99_ms: float
    lag_p99_ms: float
    referred: float
    addition_p99_ms: float


class Scene(NamedTuple):
    """What is measured: the server's process, two services, and a key to both."""

    server_pid: int
    services: Sequence[Running]
    key: str

    def cpu_s(self) -> dict[str, float]:
        """How much CPU each has taken so far."""
        changed, asked = self.services
        pids = {
            "the server": self.server_pid,
            "who changes": changed.pid,
            "who is asked": asked.pid,
        }
        return {name: cpu_s(pid) for name, pid in pids.items()}


class OneByOne:
    """Removals sent one after the other, each asked about at once in the other process."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.times = Times()
        self.wrong: Counter[str] = Counter()

    async def run(self, change: Connection, ask: Connection, people: Sequence[Row]) -> None:
        """Take all of these off."""
        for row in people:
            request = change.request("/v1/changes", {"changes": [removal(row)]})
            started = time.perf_counter()
            answer = await change.send(request)
            self.times.add(started)
            self.wrong[answer.json()["results"][0]["outcome"]] += 1
            self.wrong[await decision(ask, paper_of(row))] += 1
        del self.wrong["applied"], self.wrong["allow"]


class Flood:
    """Removals in batches at a steady rate, with single checks beside them."""

    def __init__(self, plan: Plan, people: Sequence[Row]) -> None:
        """All of these people are taken off."""
        self.lags = Times()
        self.checks = Times()
        self.wrong: Counter[str] = Counter()
        self.applied = self.referred = 0
        self.seconds = 0.0
        self._interval_s = plan.batch / plan.rate
        self._batches = list(itertools.zip_longest(*[iter(people)] * plan.batch))
        self._next = iter(enumerate(self._batches))
        self._gone: list[Paper] = []
        self._listed = [paper_of(row) for row in people[-plan.rate :]]
        self._chance = random.Random(plan.seed)
        self._ended = False

    async def run(self, changers: Sequence[Connection], ask: Connection) -> None:
        """Everything sent and acknowledged."""
        self._started = time.perf_counter()
        checking = asyncio.create_task(self._check(ask))
        await asyncio.gather(*(self._change(changer) for changer in changers))
        self.seconds = time.perf_counter() - self._started
        self._ended = True
        await checking

    async def _change(self, changer: Connection) -> None:
        for index, batch in self._next:
            due = self._started + index * self._interval_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            changes = [removal(row) for row in batch if row is not None]
            answer = (await changer.post("/v1/changes", {"changes": changes})).json()
            self.lags.add(due)
            applied = sum(each.get("outcome") == "applied" for each in answer["results"])
            self.applied += applied
            self.wrong["not applied"] += len(changes) - applied
            self._gone.append(paper_of(batch[0]))

    async def _check(self, ask: Connection) -> None:
        """Whose removal is acknowledged is allowed; the last second's are denied until it comes."""
        last_second = self._started + (len(self._batches) - 1) * self._interval_s - 1.5
        while not self._ended:
            started = time.perf_counter()
            if self._gone and (started > last_second or self._chance.random() < 0.5):
                paper, expected = self._gone[-1], "allow"
            elif started < last_second:
                paper, expected = self._chance.choice(self._listed), "deny"
            else:
                await asyncio.sleep(0.01)
                continue
            decided = await decision(ask, paper)
            self.checks.add(started)
            if decided.startswith("refer"):
                self.referred += 1
            elif decided != expected:
                self.wrong[f"{decided} instead of {expected}"] += 1


async def figures(plan: Plan, limits: Limits, scene: Scene, people: Sequence[Row]) -> list[Figure]:
    """Everything, one part after the other."""
    async with AsyncExitStack() as stack:

        async def opened(service: Running) -> Connection:
            return await stack.enter_async_context(Connection(service.port, scene.key))

        first, second = scene.services
        change, ask = await opened(first), await opened(second)
        one, flood, additions = OneByOne(), Flood(plan, people[plan.single :]), Additions()
        await one.run(change, ask, people[: plan.single])
        before = scene.cpu_s()
        await flood.run([await opened(first) for _ in range(CHANGERS)], ask)
        used = {name: after - before[name] for name, after in scene.cpu_s().items()}
        await additions.run(change, [ask, await opened(first)], plan.additions)
        roster = (await ask.get("/v1/roster")).json()
    return [
        *_single(one, limits),
        *_flood(flood, plan, limits),
        *(Figure(f"CPU a removal, {n}", s / flood.applied * 1e6, "us") for n, s in used.items()),
        *_added(additions, limits),
    ] + [
        Figure(f"removal lag as the service tells it, {name}", value or 0.0, "ms")
        for name, value in roster["removal_lag_ms"]["service"].items()
    ]


def _single(one: OneByOne, limits: Limits) -> Iterator[Figure]:
    name = f"removal, sent to acknowledged, of {one.times.count:,}"
    yield Figure(f"{name}: p50", one.times.ms(50), "ms", at_most=limits.p50_ms)
    yield Figure(f"{name}: p99", one.times.ms(99), "ms", at_most=limits.p99_ms)
    for what, count in one.wrong.items():
        yield Figure(f"not applied, or not allowed by the other process: {what}", count, at_most=0)
    yield Figure("wrong among them", one.wrong.total(), at_most=0)


def _flood(flood: Flood, plan: Plan, limits: Limits) -> Iterator[Figure]:
    kept = plan.rate * 0.98  # the last batch's own time counts too
    yield Figure(
        f"removals a second, in batches of {plan.batch}",
        flood.applied / flood.seconds,
        at_least=kept,
    )
    yield Figure("due to acknowledged: p50", flood.lags.ms(50), "ms")
    yield Figure("due to acknowledged: p99", flood.lags.ms(99), "ms", at_most=limits.lag_p99_ms)
    yield Figure("checks a second beside it, one by one", flood.checks.count / flood.seconds)
    yield Figure("such a check: p99", flood.checks.ms(99), "ms")
    for what, count in flood.wrong.items():
        if count:
            yield Figure(f"beside it: {what}", count, at_most=0)
    yield Figure("wrong beside it", flood.wrong.total(), at_most=0)
    share = flood.referred / max(1, flood.checks.count) * 100
    yield Figure("referred beside it", share, "%", at_most=limits.referred)


def _added(additions: Additions, limits: Limits) -> Iterator[Figure]:
    name = "addition, acknowledged to denied by each process"
    yield Figure(f"{name}: p50", additions.times.ms(50), "ms")
    yield Figure(f"{name}: p99", additions.times.ms(99), "ms", at_most=limits.addition_p99_ms)


def measure(plan: Plan, limits: Limits) -> list[Figure]:
    """All figures, on a stage of its own."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        stack.enter_context(place.server())
        place.load(path)
        key = place.key("check", "ops", "list:add", "list:remove")
        services = [stack.enter_context(place.serve()) for _ in range(2)]
        people = grounded(path)[: plan.removals]
        if len(people) < plan.removals:
            raise BenchmarkError("the list has too few people who may not fly")
        gc.collect()
        gc.freeze()  # else Python looks through all of them meanwhile, and nothing is sent
        with Disk(place.client(), place.folder) as disk:
            scene = Scene(place.server_pid, services, key)
            found = asyncio.run(figures(plan, limits, scene, people))
        return [*found, *disk.figures()]


@benchmark(__doc__)
@click.option("--single", default=2_000, show_default=True, help="Removals one by one.")
@click.option("--rate", default=5_000, show_default=True, help="Removals a second, in batches.")
@click.option("--seconds", default=30, show_default=True)
@click.option("--batch", default=250, show_default=True)
@click.option("--additions", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--p50-ms", default=2.0, show_default=True)
@click.option("--p99-ms", default=10.0, show_default=True)
@click.option("--lag-p99-ms", default=100.0, show_default=True)
@click.option("--referred", default=0.1, show_default=True, help="Percent of the checks.")
@click.option("--addition-p99-ms", default=50.0, show_default=True)
def main(**options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    return Report(measure(Plan(**options), limits))


if __name__ == "__main__":
    main()
