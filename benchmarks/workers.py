"""What more workers cost and bring: start, memory, checks a second, and an addition seen by all.

    python -m benchmarks workers [--counts 1,2,4,6] [--people 100000] [--write] [--json]

`serve --workers N` beside a server that runs already, once for each count: how long until
`/readyz` is 200, and until every worker has taken a connection; each worker's memory (RSS, and PSS,
in which what processes share is divided among them) after it was asked as fast as it answers; and
how long after its acknowledgement an addition is denied by all of them. `--people 4400000` is the
nation. The clients are on the same cores. The limit of the start is for no more workers than there
are cores.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec
import psutil

from benchmarks.measuring.client import Connection
from benchmarks.measuring.plot import Panel
from benchmarks.measuring.pressure import Load, press
from benchmarks.measuring.procs import tree
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import BenchmarkError, stage
from benchmarks.questions.bodies import SHAPES, people_of, written
from benchmarks.questions.people import first_people
from benchmarks.shared.additions import Additions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from benchmarks.measuring.stage import Running, Stage
    from benchmarks.questions.edits import Times

ENTRIES_A_PERSON = 1.784
SINGLE = SHAPES[0]
MB = 1e6
_REACH_S = 30.0


class Plan(msgspec.Struct, frozen=True):
    """How much of everything; `listed` is a share of the checks."""

    counts: Sequence[int]
    people: int
    additions: int
    seconds: float
    connections: int
    listed: float
    distinct: int
    seed: int


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded; MB are millions of bytes."""

    ready_s: float
    worker_mb: float
    addition_p99_ms: float


class Memory(msgspec.Struct, frozen=True):
    """A process's memory, in bytes."""

    rss: int
    pss: int


class Ran(msgspec.Struct, frozen=True):
    """One number of workers, and how it went."""

    count: int
    ready_s: float
    all_ready_s: float
    checks_per_s: float
    check_p99_ms: float
    failed: int
    memory: Sequence[Memory]
    seen: Times
    seen_by_all: Times


class Reached:
    """Connections to every worker of a service, one each; use it in `async with`."""

    def __init__(self, service: Running, key: str, server_pid: int) -> None:
        """`server_pid` may be started by the service, and is none of its workers."""
        self.by_pid: dict[int, Connection] = {}
        self._service = service
        self._key = key
        self._server = server_pid
        self._stack = AsyncExitStack()

    async def reach(self, count: int) -> None:
        """Connect until so many processes have one; raises BenchmarkError if they never do."""
        until = time.monotonic() + _REACH_S
        while len(self.by_pid) < count:
            if time.monotonic() > until:
                raise BenchmarkError(f"{len(self.by_pid)} of {count} workers take connections")
            async with AsyncExitStack() as kept:
                connection = Connection(self._service.port, self._key)
                await kept.enter_async_context(connection)
                assert (await connection.get("/readyz")).status == 200
                pid = self._owner(connection.local_port)
                if pid not in self.by_pid:
                    self.by_pid[pid] = connection
                    self._stack.push_async_exit(kept.pop_all())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def _owner(self, port: int) -> int:
        for pid in tree(self._service.pid, self._server):
            for each in psutil.Process(pid).net_connections("tcp"):
                if each.raddr and each.raddr.port == port:
                    return pid
        raise BenchmarkError("nobody has the connection")


class Story:
    """A roster, and what is asked of services with more and more workers."""

    def __init__(self, place: Stage, plan: Plan, bodies: Path) -> None:
        """Loaded already; `bodies` are checks, one a line."""
        self._place = place
        self._plan = plan
        self._bodies = bodies
        self._key = place.key("check", "list:add", "ops")

    def run(self, count: int) -> Ran:
        """How so many workers do."""
        with self._place.serve(count) as service:
            return asyncio.run(self._ask(service, count))

    async def _ask(self, service: Running, count: int) -> Ran:
        plan, started = self._plan, time.monotonic()
        async with Reached(service, self._key, self._place.server_pid) as reached:
            await reached.reach(count)
            all_ready_s = service.ready_s + time.monotonic() - started
            asked, additions = list(reached.by_pid.values()), Additions()
            await additions.run(asked[0], asked, plan.additions)
            url = f"http://127.0.0.1:{service.port}{SINGLE.path}"
            load = Load(self._bodies, url, plan.connections, plan.seconds, self._key)
            pressed = await asyncio.to_thread(press, load)
            return Ran(
                count=count,
                ready_s=service.ready_s,
                all_ready_s=all_ready_s,
                checks_per_s=pressed.requests / pressed.seconds,
                check_p99_ms=pressed.p99_ms,
                failed=pressed.failed,
                memory=[memory(pid) for pid in reached.by_pid],
                seen=additions.times,
                seen_by_all=additions.by_all,
            )


def memory(pid: int) -> Memory:
    """A process's memory now."""
    found = psutil.Process(pid).memory_full_info()
    return Memory(found.rss, found.pss)


def row(ran: Ran) -> dict[str, float | str]:
    """A number of workers as a row of a table."""
    return {
        "workers": str(ran.count),
        "ready, s": ran.ready_s,
        "all ready, s": ran.all_ready_s,
        "checks/s": ran.checks_per_s,
        "p99 ms": ran.check_p99_ms,
        "RSS, MB": max(each.rss for each in ran.memory) / MB,
        "PSS, MB": max(each.pss for each in ran.memory) / MB,
        "all PSS, MB": sum(each.pss for each in ran.memory) / MB,
        "addition seen, p50 ms": ran.seen.ms(50),
        "by all, p50 ms": ran.seen_by_all.ms(50),
        "by all, p99 ms": ran.seen_by_all.ms(99),
    }


def figures(found: Sequence[Ran], limits: Limits) -> Iterator[Figure]:
    """What is judged; workers that share cores with others while they start are in no hurry."""
    cores = len(os.sched_getaffinity(0))
    for ran in found:
        name = f"{ran.count} workers" if ran.count > 1 else "1 worker"
        largest = max(each.rss for each in ran.memory) / MB
        ready_s = limits.ready_s if ran.count <= cores else None
        yield Figure(f"{name}: start to ready", ran.ready_s, "s", at_most=ready_s)
        yield Figure(f"{name}: start to all ready", ran.all_ready_s, "s")
        yield Figure(f"{name}: largest RSS", largest, "MB", at_most=limits.worker_mb)
        yield Figure(f"{name}: checks", ran.checks_per_s, "/s")
        yield Figure(
            f"{name}: over {found[0].count}", ran.checks_per_s / found[0].checks_per_s, "x"
        )
        yield Figure(f"{name}: failed checks", ran.failed, at_most=0)
        seen = ran.seen_by_all.ms(99)
        limit = limits.addition_p99_ms
        yield Figure(f"{name}: addition denied by all, p99", seen, "ms", at_most=limit)


def panels(found: Sequence[Ran]) -> list[Panel]:
    """The same over the number of workers."""
    told = {
        "checks/s": {"": [(ran.count, ran.checks_per_s) for ran in found]},
        "start, s": {
            "ready": [(ran.count, ran.ready_s) for ran in found],
            "all ready": [(ran.count, ran.all_ready_s) for ran in found],
        },
        "largest worker, MB": {
            kind: [(ran.count, max(getattr(m, kind) for m in ran.memory) / MB) for ran in found]
            for kind in ("rss", "pss")
        },
        "addition, acknowledged to denied by all, ms": {
            f"p{percentile}": [(ran.count, ran.seen_by_all.ms(percentile)) for ran in found]
            for percentile in (50, 99)
        },
    }
    return [Panel(name, "workers", lines) for name, lines in told.items()]


def measure(plan: Plan) -> list[Ran]:
    """All counts, on a stage of its own."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        stack.enter_context(place.server())
        place.load(path)
        names = first_people(path, min(plan.people, plan.distinct))
        people = people_of(names, (), plan.listed)
        bodies = written(place.folder, people, plan.distinct, plan.seed, [SINGLE])[SINGLE.name]
        story = Story(place, plan, bodies)
        return [story.run(count) for count in plan.counts]


@benchmark(__doc__)
@click.option("--counts", default="1,2,4,6", show_default=True, help="Workers.")
@click.option("--people", default=100_000, show_default=True, help="On the list.")
@click.option("--additions", default=300, show_default=True, help="With each count.")
@click.option("--seconds", default=4.0, show_default=True, help="Of checks with each count.")
@click.option("--connections", default=64, show_default=True)
@click.option("--listed", default=0.003, show_default=True, help="Share of checks of the listed.")
@click.option("--distinct", default=100_000, show_default=True, help="Checks that differ.")
@click.option("--seed", default=1, show_default=True)
@click.option("--ready-s", default=1.5, show_default=True)
@click.option("--worker-mb", default=150.0, show_default=True)
@click.option("--addition-p99-ms", default=50.0, show_default=True)
def main(*, counts: str, **options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    found = measure(Plan(counts=[int(count) for count in counts.split(",")], **options))
    return Report(list(figures(found, limits)), list(map(row, found)), panels(found))


if __name__ == "__main__":
    main()
