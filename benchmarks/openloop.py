"""Checks that come when they come: latency from when each was due, at a given rate.

    python -m benchmarks openloop [--rates 2000,5000,10000] [--seconds 15] [--write] [--json]

An open loop: arrivals are a Poisson process, as from many counters that know nothing of each
other, and no answer holds the next request back; so what a stall keeps waiting is counted
(coordinated omission). Single checks over kept connections, with removals and additions beside
them; every answer is compared with the right one. `lag` is the generator's own lateness: where
its 99th percentile is above `--lag-p99-ms`, the figures are the machine's and not the
service's, and the table says so. The limits are those of `--judged` checks a second; answers
must be right at any rate.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec
import numpy as np

from benchmarks.measuring.client import Connection
from benchmarks.measuring.lanes import Lane, OpenLoop
from benchmarks.measuring.plot import Panel
from benchmarks.measuring.procs import cpu_s, tree_cpu_s
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import stage
from benchmarks.questions.edits import Times
from benchmarks.questions.traffic import Cast, Traffic, cast_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.measuring.stage import Running, Stage

ENTRIES_A_PERSON = 1.784
CHANGERS = 4
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
KEPT_UP = 0.99
"""A service that answers a smaller share in time is saturated."""


class Plan(msgspec.Struct, frozen=True):
    """How much of everything; rates are checks a second, `warm` are seconds before all counts."""

    people: int
    rates: Sequence[int]
    seconds: float
    warm: float
    listed: float
    changes: int
    distinct: int
    connections: int
    workers: int
    seed: int

    @property
    def most_changes(self) -> int:
        """More than there will be."""
        return round(self.changes * (self.seconds + self.warm) * len(self.rates) * 1.2) + 100


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded at `judged` checks a second; the last two are in percent."""

    judged: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    lag_p99_ms: float
    failed: float
    referred: float


class Spent(msgspec.Struct, frozen=True):
    """CPU, in seconds of the processes and as the share of a core in `seconds`."""

    seconds: float
    service_s: float
    server_s: float
    generator_s: float


class Ran(msgspec.Struct, frozen=True):
    """One rate, and how it went; shares are of all that were due and counted."""

    rate: int
    answered_per_s: float
    latency: Times
    lag: Times
    changes: Times
    in_time: float
    waited: float
    failed: Mapping[str, int]
    referred: Mapping[str, int]
    wrong: Mapping[str, int]
    spent: Spent

    def verdict(self, limits: Limits) -> str:
        """Who could not keep up, if somebody could not."""
        if self.lag.ms(99) > limits.lag_p99_ms:
            return "generator saturated"
        return "service saturated" if self.in_time < KEPT_UP else "kept up"


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When each of a Poisson process is due, in seconds from the start."""
    chance = np.random.default_rng(seed)
    gaps = chance.exponential(1 / rate, round(rate * seconds * 1.2) + 50)
    due: list[float] = gaps.cumsum().tolist()
    return [each for each in due if each < seconds] or due[:1]


class Loop:
    """A service that is asked at one rate after the other."""

    def __init__(self, place: Stage, service: Running, key: str, plan: Plan) -> None:
        """The key may check and change."""
        self._place = place
        self._service = service
        self._key = key
        self._plan = plan

    def run(self, rate: int, cast: Cast) -> Ran:
        """How this rate went."""
        plan = self._plan
        traffic = Traffic(cast, Connection(self._service.port, self._key), plan.listed, rate)
        seconds = plan.warm + plan.seconds
        due = arrivals(rate, seconds, plan.seed + rate)
        checks = Lane(due, plan.connections, traffic.ask, traffic.hear)
        due = arrivals(plan.changes, seconds, plan.seed + rate + 1)
        changes = Lane(due, CHANGERS, traffic.change, traffic.changed)
        spent = self._spend([checks, changes])
        asyncio.run(traffic.settle())
        count = len(checks.latencies_s)
        return Ran(
            rate=rate,
            answered_per_s=checks.in_time / plan.seconds,
            latency=Times(checks.latencies_s),
            lag=Times(checks.lags_s),
            changes=Times(changes.latencies_s),
            in_time=checks.in_time / count,
            waited=checks.waited / count,
            failed=traffic.failed + checks.broken + changes.broken,
            referred=traffic.referred,
            wrong=traffic.wrong,
            spent=spent,
        )

    def _spend(self, lanes: Sequence[Lane]) -> Spent:
        """What it cost to run them."""
        gc.collect()
        gc.freeze()
        gc.disable()  # else Python looks through all requests meanwhile, and nothing is sent
        server = self._place.server_pid
        try:
            with OpenLoop(self._service.port, lanes, self._plan.warm) as loop:
                before = self._cpu(server)
                loop.run()
                return Spent(*(b - a for a, b in zip(before, self._cpu(server), strict=True)))
        finally:
            gc.enable()

    def _cpu(self, server: int) -> tuple[float, float, float, float]:
        service = tree_cpu_s(self._service.pid, server)
        return time.perf_counter(), service, cpu_s(server), time.process_time()


def row(ran: Ran, limits: Limits) -> dict[str, float | str]:
    """A rate as a row of a table; CPU is of one core."""
    spent = ran.spent
    latencies = zip(("p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"), PERCENTILES, strict=True)
    return {
        "checks/s": ran.rate,
        "answered/s": ran.answered_per_s,
        **{name: ran.latency.ms(percentile) for name, percentile in latencies},
        "lag p99 ms": ran.lag.ms(99),
        "waited %": 100 * ran.waited,
        "failed": sum(ran.failed.values()),
        "referred": sum(ran.referred.values()),
        "wrong": sum(ran.wrong.values()),
        "change p99 ms": ran.changes.ms(99),
        "service CPU %": 100 * spent.service_s / spent.seconds,
        "generator CPU %": 100 * spent.generator_s / spent.seconds,
        "verdict": ran.verdict(limits),
    }


def figures(found: Sequence[Ran], limits: Limits) -> Iterator[Figure]:
    """What is judged."""
    for ran in found:
        name = f"{ran.rate:,}/s"
        if ran.rate == limits.judged:
            yield from _judged(name, ran, limits)
        for kind, told in (("failed", ran.failed), ("referred", ran.referred), ("", ran.wrong)):
            for what, count in told.items():
                if count:
                    yield Figure(f"{name}, {kind}: {what}".replace(" :", ""), count)
        yield Figure(f"{name}: wrong answers", sum(ran.wrong.values()), at_most=0)


def _judged(name: str, ran: Ran, limits: Limits) -> Iterator[Figure]:
    latency, count = ran.latency, ran.latency.count
    yield Figure(f"{name}: checks", count)
    yield Figure(f"{name}: due to answered, p50", latency.ms(50), "ms", at_most=limits.p50_ms)
    yield Figure(f"{name}: due to answered, p99", latency.ms(99), "ms", at_most=limits.p99_ms)
    yield Figure(f"{name}: due to answered, p99.9", latency.ms(99.9), "ms", at_most=limits.p999_ms)
    lag = ran.lag.ms(99)
    yield Figure(f"{name}: the generator's own lag, p99", lag, "ms", at_most=limits.lag_p99_ms)
    for what, most in (("failed", limits.failed), ("referred", limits.referred)):
        share = 100 * sum(getattr(ran, what).values()) / count
        yield Figure(f"{name}: {what}", share, "%", at_most=most)


def panel(found: Sequence[Ran], limits: Limits) -> Panel:
    """Each rate's latencies by percentile."""
    lines = {f"{ran.rate:,} checks/s: {ran.verdict(limits)}": ran.latency.curve() for ran in found}
    judged = ((50.0, limits.p50_ms), (99.0, limits.p99_ms), (99.9, limits.p999_ms))
    name = f"Due to answered, ms; limits at {limits.judged:,} checks/s"
    return Panel(name, "percentile", lines, "percentile", judged)


def measure(plan: Plan) -> list[Ran]:
    """All rates, on a stage of its own."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        stack.enter_context(place.server())
        place.load(path)
        cast = cast_of(path, plan.distinct, plan.most_changes)
        key = place.key("check", "list:add", "list:remove")
        loop = Loop(place, stack.enter_context(place.serve(plan.workers)), key, plan)
        return [loop.run(rate, cast) for rate in plan.rates]


def told(ran: Ran) -> dict[str, Any]:
    """A rate as JSON tells it; all latencies as HdrHistogram's compressed text, in us."""
    return {
        "rate": ran.rate,
        "failed": ran.failed,
        "referred": ran.referred,
        "wrong": ran.wrong,
        "spent": ran.spent,
        "latency_hdr": ran.latency.encoded(),
        "lag_hdr": ran.lag.encoded(),
    }


@benchmark(__doc__)
@click.option("--rates", default="2000,5000,10000", show_default=True, help="Checks a second.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each rate.")
@click.option("--warm", default=2.0, show_default=True, help="Seconds before them.")
@click.option("--people", default=200_000, show_default=True, help="On the list.")
@click.option("--listed", default=0.003, show_default=True, help="Share of checks of the listed.")
@click.option("--changes", default=50, show_default=True, help="A second.")
@click.option("--distinct", default=200_000, show_default=True, help="Others asked about.")
@click.option("--connections", default=64, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Service processes.")
@click.option("--seed", default=1, show_default=True)
@click.option("--judged", default=5_000, show_default=True, help="The rate that has the limits.")
@click.option("--p50-ms", default=1.0, show_default=True)
@click.option("--p99-ms", default=10.0, show_default=True)
@click.option("--p999-ms", default=50.0, show_default=True)
@click.option("--lag-p99-ms", default=2.0, show_default=True, help="The generator's own.")
@click.option("--failed", default=0.0, show_default=True, help="Of the checks, in percent.")
@click.option("--referred", default=0.1, show_default=True, help="Of the checks, in percent.")
def main(*, rates: str, **options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    plan = Plan(rates=[int(rate) for rate in rates.split(",")], **options)
    found = measure(plan)
    return Report(
        list(figures(found, limits)),
        [row(ran, limits) for ran in found],
        [panel(found, limits)],
        {"runs": list(map(told, found))},
    )


if __name__ == "__main__":
    main()
