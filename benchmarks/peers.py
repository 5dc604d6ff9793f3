"""Clearway beside what a team would write first, and beside an application that says nothing.

    python -m benchmarks peers [--people 200000] [--rounds 5] [--seconds 2] [--json]

The same requests in one run, in turns, one uvicorn worker each, the same Valkey: single
checks and batches of 500. `--listed` of them are of people on the list: 1 %, three times
their share of the population (4.4 million of 1.4 billion). Ratios are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from benchmarks.client import Connection
from benchmarks.people import Paper, first_people, unlisted
from benchmarks.pressure import Load, Pressed, client_name, press
from benchmarks.procs import cpu_s, tree_cpu_s
from benchmarks.report import Figure, finish, number, table
from benchmarks.stage import Stage, free_port, program, stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ENTRIES_A_PERSON = 1.784
SINGLES, BATCHES = 4_096, 64
BATCH = 500
COMPARED = 8
RAIL = {"mode": "rail", "train": "G101", "seat": "O"}
AIR = {"mode": "air"}
PEER_SET = "peer"
CLEARWAY, PEER, CONSTANT = "Clearway", "FastAPI + SISMEMBER", "constant ASGI"


class Shape(NamedTuple):
    """One kind of request."""

    name: str
    path: str
    checks: int
    connections: int


SHAPES = (Shape("single", "/v1/check", 1, 16), Shape("batch", "/v1/check/batch", BATCH, 4))


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
    rounds: int
    seconds: float
    seed: int


def bodies(folder: Path, people: Sequence[Paper], plan: Plan) -> dict[str, Path]:
    """The requests of each shape, in a file; every target gets these."""
    chance = random.Random(plan.seed)

    def anybody() -> dict[str, str]:
        paper = chance.choice(people) if chance.random() < plan.listed else unlisted(chance)
        return paper.json()

    def journey() -> dict[str, str]:
        return RAIL if chance.random() < 0.7 else AIR

    singles: list[object] = [{"document": anybody(), "journey": journey()} for _ in range(SINGLES)]
    batches: list[object] = [
        {"items": [{"document": anybody()} for _ in range(BATCH)], "journey": journey()}
        for _ in range(BATCHES)
    ]
    made = {}
    for shape, contents in zip(SHAPES, (singles, batches), strict=True):
        made[shape.name] = folder / f"{shape.name}.jsonl"
        made[shape.name].write_bytes(
            b"".join(msgspec.json.encode(each) + b"\n" for each in contents)
        )
    return made


def fill_peer(place: Stage, people: Sequence[Paper]) -> None:
    """The peer's SET of the same people's numbers, on the same server."""
    with place.client() as client:
        for first in range(0, len(people), 10_000):
            client.sadd(PEER_SET, *(paper.number for paper in people[first : first + 10_000]))


@contextmanager
def uvicorn(place: Stage, name: str, app: str, probe: str) -> Iterator[Target]:
    """An application under uvicorn, set up as fast as it goes."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--workers", "1"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    env = place.env | {"PEER_SOCKET": str(place.socket), "PEER_SET": PEER_SET}
    with program([*command, "--log-level", "warning"], env, f"http://127.0.0.1:{port}{probe}") as (
        process,
        _,
    ):
        yield Target(name, process.pid, port)


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
                seconds = plan.seconds if round_number else 1.0
                load = Load(files[shape.name], url, shape.connections, seconds, target.api_key)
                made = turn(place, target, shape, load)
                if round_number:
                    found.append(made)
    return found


async def compare_answers(targets: Sequence[Target], contents: Sequence[object]) -> dict[str, int]:
    """How many of some batches each target denies; raises AssertionError where it errs.

    Clearway denies fewer than the peer: it knows terms, suspensions and removals.
    """
    denied = {}
    for target in targets:
        async with Connection(target.port, target.api_key) as connection:
            answers = [(await connection.post(SHAPES[1].path, each)).json() for each in contents]
        decisions = [one.get("decision") for each in answers for one in each["results"]]
        assert len(decisions) == len(contents) * BATCH, f"{target.name} answers too few"
        assert set(decisions) == {"allow", "deny"}, f"{target.name} does not decide all"
        denied[target.name] = decisions.count("deny")
    assert 0 < denied[CLEARWAY] <= denied[PEER], "the services were asked about different lists"
    return denied


def some(file: Path) -> list[Any]:
    """The first batches of a file of bodies."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()[:COMPARED]]


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


def show(found: Sequence[Turn]) -> str:
    """Everything measured, as a table."""
    titles = ("checks/s", "requests/s", "p50 ms", "p99 ms", "CPU us/check", "Valkey us/check")
    lines = []
    for shape in SHAPES:
        rows: list[tuple[str, ...]] = [(f"{shape.name}, {shape.connections} connections", *titles)]
        rows += [
            (name, *map(number, medians(found, shape, name))) for name in (CLEARWAY, PEER, CONSTANT)
        ]
        lines.append(table(rows))
    return "\n\n".join(lines)


def figures(found: Sequence[Turn], single: float, batch: float) -> list[Figure]:
    """The ratios, with what they have to be."""
    made = []
    for shape, least in zip(SHAPES, (single, batch), strict=True):
        of_peer, of_constant = (ratio(found, shape, other) for other in (PEER, CONSTANT))
        ours, theirs = (medians(found, shape, name)[4] for name in (CLEARWAY, PEER))
        made += [
            Figure(f"{shape.name}: throughput over the peer's", of_peer, "x", at_least=least),
            Figure(f"{shape.name}: throughput over the constant's", of_constant, "x"),
            Figure(
                f"{shape.name}: the peer's CPU a check over ours", theirs / max(ours, 1e-9), "x"
            ),
        ]
    failed = sum(each.pressed.failed for each in found)
    return [*made, Figure("failed requests", failed, at_most=0)]


def measure(plan: Plan) -> tuple[list[Turn], dict[str, int]]:
    """All turns, and how many each of the two denies of the same checks."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(plan.people, round(plan.people * ENTRIES_A_PERSON), plan.seed)
        people = first_people(path, plan.people)
        files = bodies(place.folder, people, plan)
        stack.enter_context(place.server())
        place.load(path)
        fill_peer(place, people)
        key = place.key("check")
        service = stack.enter_context(place.serve())
        targets = [
            Target(CLEARWAY, service.pid, service.port, key),
            stack.enter_context(uvicorn(place, PEER, "benchmarks.peer:app", "/healthz")),
            stack.enter_context(uvicorn(place, CONSTANT, "benchmarks.constant:app", "/")),
        ]
        denied = asyncio.run(compare_answers(targets[:2], some(files["batch"])))
        return turns(place, targets, files, plan), denied


@click.command(help=__doc__)
@click.option("--people", default=200_000, show_default=True)
@click.option("--listed", default=0.01, show_default=True, help="Share of checks of the listed.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="Of each turn.")
@click.option("--seed", default=1, show_default=True)
@click.option("--single-ratio", default=3.0, show_default=True, help="Least throughput ratio.")
@click.option("--batch-ratio", default=5.0, show_default=True, help="The same of batches.")
@click.option("--json", "as_json", is_flag=True)
def main(*, single_ratio: float, batch_ratio: float, as_json: bool, **plan: Any) -> None:  # noqa: ANN401 -- the fields of Plan
    """Measure, print, and end with status 1 where a ratio is too small."""
    found, denied = measure(Plan(**plan))
    if not as_json:
        print(f"client: {client_name()}; denied of {COMPARED * BATCH:,} the same: {denied}\n")
        print(show(found))
    finish(
        figures(found, single_ratio, batch_ratio),
        as_json=as_json,
        turns=found,
        client=client_name(),
        denied=denied,
    )


if __name__ == "__main__":
    main()
