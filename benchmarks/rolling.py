"""Checks that come when they come, through a balancer, while every process is replaced in turn.

    python -m benchmarks rolling [--rate 1000] [--rounds 2] [--drain-s 2] [--json]

Two service processes behind a balancer (`measuring/balancer.py`) that asks for `/readyz` and looks
at nothing else. Each is told to end (SIGTERM) and started again, then the other, and so on. Checks
are due as in `openloop`, over kept connections, with removals and additions beside them; an answer
that says `Connection: close` ends its connection. A check is lost where its connection breaks,
where nobody answers, and with any status but 200; nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.lanes import Lane, OpenLoop
from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import CLEARWAY, BenchmarkError, answers, free_port, stage
from benchmarks.openloop import CHANGERS, ENTRIES_A_PERSON, arrivals
from benchmarks.questions.edits import Times
from benchmarks.questions.traffic import Traffic, cast_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring.stage import Stage

PAIR = 2
LONGEST_S = 600.0
"""Nobody waits longer for all of them to be replaced."""
ID_KEY = "5a" * 32
_END_S = 45.0
_PAUSE_S = 0.5


class Plan(msgspec.Struct, frozen=True):
    """How much of everything, and how often every process is replaced."""

    rate: int
    rounds: int
    people: int
    listed: float
    changes: int
    distinct: int
    connections: int
    drain_s: int
    seed: int


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded; in percent of the checks."""

    referred: float


class Process:
    """A service process on a port of its own."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        """It remembers, and logs, in a folder of its own."""
        self.port = free_port()
        folder.mkdir()
        self._log = folder / "log"
        self._env = {**env, "CLEARWAY_DATA_DIR": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It is ready on return."""
        command = [*CLEARWAY, "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + _END_S
        while not answers(f"http://127.0.0.1:{self.port}/readyz"):
            if self._process.poll() is not None or time.monotonic() > until:
                raise BenchmarkError(f"it is not ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.01)

    def end(self) -> None:
        """Tell it to end; it has on return."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        if status:
            raise BenchmarkError(f"it ended with status {status}: {self._log.read_text()[-2000:]}")


class Replacing:
    """Replaces all processes in turn, in a thread, and ends the load when that is done.

    `took_s` are from each SIGTERM until the next one was ready.
    """

    def __init__(self, processes: Sequence[Process], rounds: int) -> None:
        """Each so often."""
        self.took_s: list[float] = []
        self._processes = processes
        self._rounds = rounds
        self._error: Exception | None = None

    @contextmanager
    def under(self, loop: OpenLoop) -> Iterator[Self]:
        """They are replaced meanwhile; raises what went wrong."""
        thread = threading.Thread(target=self._replace, args=(loop,))
        thread.start()
        try:
            yield self
        finally:
            thread.join()
        if self._error is not None:
            raise self._error

    def _replace(self, loop: OpenLoop) -> None:
        try:
            for _ in range(self._rounds):
                for process in self._processes:
                    time.sleep(_PAUSE_S)
                    since = time.monotonic()
                    process.end()
                    process.start()
                    self.took_s.append(time.monotonic() - since)
            time.sleep(_PAUSE_S)
        except Exception as exc:  # noqa: BLE001 -- told to who waits for the thread
            self._error = exc
        finally:
            loop.end()


class Ran(msgspec.Struct, frozen=True):
    """How it went."""

    seconds: float
    latency: Times
    lag: Times
    took: Times
    lost: Mapping[str, int]
    changes: int
    lost_changes: Mapping[str, int]
    referred: Mapping[str, int]
    wrong: Mapping[str, int]


@contextmanager
def balanced(processes: Sequence[Process]) -> Iterator[int]:
    """The port of a balancer before these, while it runs."""
    port, ports = free_port(), [str(process.port) for process in processes]
    balancer = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.measuring.balancer", str(port), *ports], cwd=ROOT
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            if balancer.poll() is not None:
                raise BenchmarkError("the balancer has ended")
            time.sleep(0.01)
        yield port
    finally:
        balancer.kill()
        balancer.wait()


def run(place: Stage, plan: Plan, path: Path) -> Ran:
    """What became of the checks while all processes were replaced."""
    key = place.key("check", "list:add", "list:remove")
    processes = [Process(place.folder / f"process-{n}", place.env) for n in range(PAIR)]
    with ExitStack() as stack:
        for process in processes:
            stack.callback(process.end)
            process.start()
        port = stack.enter_context(balanced(processes))
        cast = cast_of(path, plan.distinct, round(plan.changes * LONGEST_S / 2))
        traffic = Traffic(cast, Connection(port, key), plan.listed, plan.seed)
        due = arrivals(plan.rate, LONGEST_S, plan.seed)
        checks = Lane(due, plan.connections, traffic.ask, traffic.hear)
        due = arrivals(plan.changes, LONGEST_S, plan.seed + 1)
        changes = Lane(due, CHANGERS, traffic.change, traffic.changed)
        replacing = Replacing(processes, plan.rounds)
        since = time.perf_counter()
        with OpenLoop(port, [checks, changes]) as loop, replacing.under(loop):
            loop.run()
        seconds = time.perf_counter() - since
        asyncio.run(traffic.settle())
    return _ran(seconds, traffic, (checks, changes), replacing)


def _ran(seconds: float, traffic: Traffic, lanes: tuple[Lane, Lane], replacing: Replacing) -> Ran:
    checks, changes = lanes
    told = {what: count for what, count in traffic.failed.items() if what.startswith("HTTP")}
    refused = {what: count for what, count in traffic.failed.items() if what not in told}
    return Ran(
        seconds=seconds,
        latency=Times(checks.latencies_s),
        lag=Times(checks.lags_s),
        took=Times(replacing.took_s),
        lost={**told, **+checks.broken},
        changes=len(changes.latencies_s),
        lost_changes={**refused, **+changes.broken},
        referred=traffic.referred,
        wrong=traffic.wrong,
    )


def figures(ran: Ran, plan: Plan, limits: Limits) -> Iterator[Figure]:
    """What is judged, and what is only told."""
    count = ran.latency.count
    yield Figure("processes replaced", ran.took.count, at_least=PAIR * plan.rounds)
    yield Figure("from SIGTERM until the next is ready, longest", ran.took.ms(100), "ms")
    yield Figure("checks", count)
    yield Figure("checks a second", count / ran.seconds)
    yield Figure("checks lost", sum(ran.lost.values()), at_most=0)
    yield Figure("changes", ran.changes)
    yield Figure("changes lost", sum(ran.lost_changes.values()), at_most=0)
    yield Figure("wrong answers", sum(ran.wrong.values()), at_most=0)
    share = 100 * sum(ran.referred.values()) / count
    yield Figure("referred", share, "%", at_most=limits.referred)
    for percentile in (50, 99, 99.9, 100):
        yield Figure(f"due to answered, p{percentile:g}", ran.latency.ms(percentile), "ms")
    yield Figure("the generator's own lag, p99", ran.lag.ms(99), "ms")
    for of in (ran.lost, ran.lost_changes, ran.referred, ran.wrong):
        yield from (Figure(what, number) for what, number in of.items())


def measure(plan: Plan) -> Ran:
    """All of it, on a stage of its own."""
    with stage() as place, place.server():
        place.env |= {
            "CLEARWAY_REDIS_URL": f"unix://{place.socket}",
            "CLEARWAY_ID_KEY": ID_KEY,
            "CLEARWAY_DRAIN_S": str(plan.drain_s),
            "CLEARWAY_REDIS_TIMEOUT_MS": "500",
        }
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        place.load(path)
        return run(place, plan, path)


@benchmark(__doc__)
@click.option("--rate", default=1_000, show_default=True, help="Checks a second.")
@click.option("--rounds", default=2, show_default=True, help="How often each is replaced.")
@click.option("--people", default=20_000, show_default=True, help="On the list.")
@click.option("--listed", default=0.01, show_default=True, help="Share of checks of the listed.")
@click.option("--changes", default=20, show_default=True, help="A second.")
@click.option("--distinct", default=20_000, show_default=True, help="Others asked about.")
@click.option("--connections", default=32, show_default=True)
@click.option("--drain-s", default=2, show_default=True, help="CLEARWAY_DRAIN_S.")
@click.option("--seed", default=1, show_default=True)
@click.option("--referred", default=0.1, show_default=True, help="Of the checks, in percent.")
def main(**options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    plan = Plan(**options)
    ran = measure(plan)
    return Report(list(figures(ran, plan, limits)))


if __name__ == "__main__":
    main()
