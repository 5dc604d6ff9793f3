"""Several times what a service can answer, for a while: it lives, goes on, and takes removals.

    python -m benchmarks flood [--seconds 60] [--times 4] [--connections 4000] [--json]

First what it can: as fast as it answers, with 64 connections, from the same generator. Then so many
times of that in an open loop, where no answer holds the next request back. Beside both /readyz is
asked, somebody on the list is asked about, and entries are put on and taken off, as in `overload`.
Last, how soon somebody who asks is answered again as if nothing had been.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.pouring import Pour, Poured
from benchmarks.measuring.procs import PeakMemory, pss_bytes
from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import stage
from benchmarks.overload import SCOPES, Cast, Watch, Watched, prepared, referred
from benchmarks.questions.edits import AIR

if TYPE_CHECKING:
    from benchmarks.measuring.stage import Running

CALM = 64
"""Connections that are as many as a service needs to be busy."""
IN_A_ROW = 20
QUICK_S = 0.05
PAUSE_S = 0.02
GIVEN_UP_S = 30.0
MIB = 1 << 20
_ROOT = Path(__file__).resolve().parent.parent


class Plan(msgspec.Struct, frozen=True):
    """How much of everything; `calm_s` is how long the capacity is measured."""

    seconds: float
    calm_s: float
    times: float
    connections: int


class Limits(msgspec.Struct, frozen=True):
    """What has to be kept: `share` is of the capacity, `referred` of the answers, in percent."""

    share: float
    limit_ms: float
    back_s: float
    memory_mib: float
    referred: float


class Flooded(msgspec.Struct, frozen=True):
    """How a flood went; `capacity_per_s` is the mean of before and after."""

    capacity_per_s: float
    poured: Poured
    seen: Watched
    back_s: float
    more_bytes: int
    referred: int


def pour(what: Pour, key: str) -> Poured:
    """How it went, in a process of its own."""
    env = {"PATH": os.environ["PATH"], "CLEARWAY_API_KEY": key}
    command = what.command()
    done = subprocess.run(command, cwd=_ROOT, env=env, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=Poured)


class Flood:
    """A service, and whoever asks it."""

    def __init__(self, running: Running, key: str, cast: Cast, plan: Plan) -> None:
        """Nothing is asked yet."""
        self._running = running
        self._key = key
        self._cast = cast
        self._plan = plan

    def run(self) -> Flooded:
        """The capacity, the flood, what is after it, and the capacity again."""
        plan, pid = self._plan, self._running.pid
        before = self._calm()
        refers = asyncio.run(referred(self._running.port, self._key))
        rate, held = plan.times * before, pss_bytes(pid)
        with PeakMemory(pid) as peak:
            poured, seen = self._watched(Pour(*self._to(plan.connections, rate, plan.seconds)))
        back_s = asyncio.run(self._back())
        refers = asyncio.run(referred(self._running.port, self._key)) - refers
        capacity = (before + self._calm()) / 2
        return Flooded(capacity, poured, seen, back_s, peak.bytes - held, refers)

    def _to(self, connections: int, rate: float, seconds: float) -> tuple[Any, ...]:
        return self._cast.bodies, self._running.port, connections, rate, seconds

    def _calm(self) -> float:
        poured, _ = self._watched(Pour(*self._to(CALM, 0, self._plan.calm_s)))
        return poured.good_per_s

    def _watched(self, what: Pour) -> tuple[Poured, Watched]:
        watch = Watch(self._running.port, self._key, self._cast, what.connections)
        return asyncio.run(watch.during(lambda: pour(what, self._key))), watch.seen

    async def _back(self) -> float:
        """How long until so many checks in a row are answered, and soon."""
        begun = since = time.perf_counter()
        question = {"document": self._cast.listed[0].json(), "journey": AIR}
        async with Connection(self._running.port, self._key) as connection:
            good = 0
            while good < IN_A_ROW and time.perf_counter() - begun < GIVEN_UP_S:
                asked = time.perf_counter()
                answer = await connection.post("/v1/check", question)
                now = time.perf_counter()
                if answer.status == 200 and now - asked < QUICK_S:
                    good += 1
                else:
                    good, since = 0, now
                await asyncio.sleep(PAUSE_S)
        return since - begun


def figures(found: Flooded, limits: Limits) -> list[Figure]:
    """What was measured, with what it has to keep."""
    poured, seen = found.poured, found.seen
    of_capacity = poured.good_per_s / found.capacity_per_s
    referred_percent = 100 * found.referred / max(1, poured.answered.get("200", 0))
    probes = {what: count for what, count in seen.told.items() if what.startswith("/readyz")}
    unready = sum(probes.values()) - probes.get("/readyz 200", 0)
    other = sum(n for status, n in poured.answered.items() if status not in {"200", "429"})
    return [
        Figure("capacity", found.capacity_per_s, "checks/s"),
        Figure("flood: due", poured.due / poured.seconds, "checks/s"),
        Figure("flood: found no connection", poured.unsent / poured.seconds, "checks/s"),
        Figure("flood: refused", poured.answered.get("429", 0) / poured.seconds, "checks/s"),
        Figure("flood: answered", poured.good_per_s, "checks/s"),
        Figure("flood: answered, of the capacity", of_capacity, "", at_least=limits.share),
        Figure("flood: other statuses, connections lost", other + poured.lost, "", at_most=0),
        Figure("flood: /readyz, p99", seen.probes.ms(99), "ms", at_most=limits.limit_ms),
        Figure("flood: removals", seen.removals.count, ""),
        Figure("flood: a removal, p99", seen.removals.ms(99), "ms", at_most=limits.limit_ms),
        Figure("flood: memory", found.more_bytes / MIB, "MiB", at_most=limits.memory_mib),
        Figure("flood: referred, of the answers", referred_percent, "%", at_most=limits.referred),
        Figure("flood: somebody listed, allowed", seen.told["allow"], "", at_most=0),
        Figure("flood: probes that were not 200", unready, "", at_most=0),
        Figure("back after", found.back_s, "s", at_most=limits.back_s),
    ]


@benchmark(__doc__)
@click.option("--people", default=20_000, show_default=True, type=click.IntRange(100))
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1))
@click.option("--calm-s", default=5.0, show_default=True, type=click.FloatRange(1))
@click.option("--times", default=4.0, show_default=True, help="Of the capacity.")
@click.option("--connections", default=4_000, show_default=True)
@click.option("--share", default=0.8, show_default=True, help="Of the capacity.")
@click.option("--limit-ms", default=100.0, show_default=True, help="Of /readyz and removals.")
@click.option("--back-s", default=2.0, show_default=True)
@click.option("--referred", default=0.1, show_default=True, help="Of the answers, in percent.")
@click.option("--memory-mib", default=200.0, show_default=True, help="More than before.")
@click.option("--seed", default=1, show_default=True)
def main(*, people: int, seed: int, **options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = Limits(**{name: options.pop(name) for name in Limits.__struct_fields__})
    with stage() as where:
        cast = prepared(where, people, seed)
        key = where.key(*SCOPES)
        with where.server(), where.serve() as running:
            found = Flood(running, key, cast, Plan(**options)).run()
    return Report(figures(found, limits))


if __name__ == "__main__":
    main()
