"""What one target spends and reaches in one turn, and what many turns come to."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks.measuring.pressure import Load, Pressed, press
from benchmarks.measuring.procs import cpu_s, tree_cpu_s
from benchmarks.questions.bodies import SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring.stage import Stage

CLEARWAY, PEER, CONSTANT = "Clearway", "FastAPI + SISMEMBER", "constant ASGI"


class Target(NamedTuple):
    """One of the services."""

    name: str
    pid: int
    port: int
    api_key: str = ""


class Turn(msgspec.Struct, frozen=True):
    """One target under one shape, once; CPU in seconds."""

    target: str
    shape: str
    checks: int
    pressed: Pressed
    cpu_s: float
    valkey_s: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.pressed.requests / self.pressed.seconds

    @property
    def cpu_us(self) -> float:
        """The process's CPU time a check, in microseconds."""
        return self.cpu_s * 1e6 / max(1, self.pressed.requests * self.checks)

    @property
    def valkey_us(self) -> float:
        """The same of Valkey."""
        return self.valkey_s * 1e6 / max(1, self.pressed.requests * self.checks)


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    people: int
    listed: float
    distinct: int
    rounds: int
    seconds: float
    seed: int


def turn(place: Stage, target: Target, shape: Shape, load: Load) -> Turn:
    """Press one target once, and see what it spends."""
    server = place.server_pid
    before, valkey = tree_cpu_s(target.pid, server), cpu_s(server)
    pressed = press(load)
    return Turn(
        target.name,
        shape.name,
        shape.checks,
        pressed,
        tree_cpu_s(target.pid, server) - before,
        cpu_s(server) - valkey,
    )


def turns(
    place: Stage, targets: Sequence[Target], files: dict[str, Path], plan: Plan
) -> list[Turn]:
    """Every target under every shape, in every round in another order; the first is no result."""
    found = []
    for round_number in range(plan.rounds + 1):
        for shape in SHAPES:
            for step in range(len(targets)):
                target = targets[(round_number + step) % len(targets)]
                url = f"http://127.0.0.1:{target.port}{shape.path}"
                seconds = plan.seconds if round_number else min(1.0, plan.seconds)
                load = Load(files[shape.name], url, shape.connections, seconds, target.api_key)
                made = turn(place, target, shape, load)
                if round_number:
                    found.append(made)
    return found


def medians(found: Sequence[Turn], shape: Shape, target: str) -> list[float]:
    """Checks/s, requests/s, p50, p99, CPU and Valkey's CPU a check of a target."""
    mine = [each for each in found if (each.shape, each.target) == (shape.name, target)]
    columns = zip(
        *(
            (
                each.rate * shape.checks,
                each.rate,
                each.pressed.p50_ms,
                each.pressed.p99_ms,
                each.cpu_us,
                each.valkey_us,
            )
            for each in mine
        ),
        strict=True,
    )
    return [statistics.median(column) for column in columns]


def ratio(found: Sequence[Turn], shape: Shape, other: str) -> float:
    """How many times the other's rate Clearway has: the median over the rounds."""
    by_target = {
        name: [each.rate for each in found if (each.shape, each.target) == (shape.name, name)]
        for name in (CLEARWAY, other)
    }
    pairs = zip(by_target[CLEARWAY], by_target[other], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def rows(found: Sequence[Turn]) -> Iterator[Mapping[str, float | str]]:
    """Everything measured, as the rows of a table."""
    titles = ("checks/s", "requests/s", "p50 ms", "p99 ms", "CPU us/check", "Valkey us/check")
    for shape in SHAPES:
        of = f"{shape.name}, {shape.connections} connections"
        for name in (CLEARWAY, PEER, CONSTANT):
            measured = zip(titles, medians(found, shape, name), strict=True)
            yield {"requests": of, "service": name, **dict(measured)}
