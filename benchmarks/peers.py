"""Clearway beside what a team would write first, and beside an application that says nothing.

    python -m benchmarks peers [--people 200000] [--rounds 3] [--listed 0.003] [--json]

The same requests in one run, in turns, one uvicorn worker each, the same Valkey: single checks
and batches in the shapes that carriers send (`bodies.py`). `--listed` of them are of people on
the list: 1 in 333, their share of the population (4.4 million of 1.4 billion). Ratios are medians
over the rounds. CPU a check is beside what the constant answer's request costs as a single one.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.pressure import client_name
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import Stage, free_port, program, stage
from benchmarks.questions.bodies import BATCH, SHAPES, Shape, people_of, written
from benchmarks.questions.people import Paper, first_people
from benchmarks.shared.turns import (
    CLEARWAY,
    CONSTANT,
    PEER,
    Plan,
    Target,
    Turn,
    medians,
    ratio,
    rows,
    turns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

ENTRIES_A_PERSON = 1.784
COMPARED, SMALL = 8, 100
PEER_SET = "peer"


class Least(NamedTuple):
    """What has to be reached, as ratios; CPU is at most."""

    single_peer: float
    single_constant: float
    single_cpu: float
    batch_peer: float
    small_batch_peer: float
    batch_cpu: float


def fill_peer(place: Stage, people: Iterable[Paper]) -> None:
    """The peer's SET of the same people's numbers, on the same server."""
    with place.client() as client:
        numbers = [paper.number for paper in people]
        for first in range(0, len(numbers), 10_000):
            client.sadd(PEER_SET, *numbers[first : first + 10_000])


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


async def compare_answers(
    targets: Sequence[Target], files: dict[str, Path]
) -> dict[str, dict[str, int]]:
    """How many of some batches of each shape each target denies; AssertionError where it errs.

    Clearway denies fewer than the peer: it knows terms, suspensions and removals.
    """
    found: dict[str, dict[str, int]] = {}
    for shape in (each for each in SHAPES if each.path == BATCH):
        denied = found[shape.name] = {}
        for target in targets:
            denied[target.name] = await _denied(target, shape, some(files[shape.name]))
        assert denied[CLEARWAY] <= denied[PEER], "the services were asked about different lists"
    assert any(denied[CLEARWAY] for denied in found.values()), "nobody was denied"
    return found


async def _denied(target: Target, shape: Shape, contents: Sequence[object]) -> int:
    async with Connection(target.port, target.api_key) as connection:
        answers = [(await connection.post(shape.path, each)).json() for each in contents]
    decisions = [one.get("decision") for each in answers for one in each["results"]]
    assert len(decisions) == len(contents) * shape.checks, f"{target.name} answers too few"
    assert {"allow", "deny"}.issuperset(decisions), f"{target.name} does not decide all"
    return decisions.count("deny")


def some(file: Path) -> list[Any]:
    """The first batches of a file of bodies."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()[:COMPARED]]


def figures(found: Sequence[Turn], least: Least) -> Iterator[Figure]:
    """The ratios of each shape, with what they have to be."""
    bare_us = medians(found, SHAPES[0], CONSTANT)[4]
    for shape in SHAPES:
        of_peer, of_constant = (ratio(found, shape, other) for other in (PEER, CONSTANT))
        cpu = medians(found, shape, CLEARWAY)[4] / max(bare_us, 1e-9)
        single = shape.path != BATCH
        peer = least.small_batch_peer if shape.checks < SMALL else least.batch_peer
        yield Figure(
            f"{shape.name}: throughput over the peer's",
            of_peer,
            "x",
            at_least=least.single_peer if single else peer,
        )
        yield Figure(
            f"{shape.name}: requests over the constant's",
            of_constant,
            "x",
            at_least=least.single_constant if single else None,
        )
        yield Figure(
            f"{shape.name}: CPU a check, of a constant request's",
            cpu,
            "x",
            at_most=_cpu_limit(shape, least),
        )
    failed = sum(each.pressed.failed for each in found)
    yield Figure("failed requests", failed, at_most=0)


def _cpu_limit(shape: Shape, least: Least) -> float | None:
    if shape.path != BATCH:
        return least.single_cpu
    return None if shape.checks < SMALL else least.batch_cpu


def measure(plan: Plan) -> tuple[list[Turn], dict[str, dict[str, int]]]:
    """All turns, and how many each of the two denies of the same checks."""
    entries = round(plan.people * ENTRIES_A_PERSON)
    with stage() as place, ExitStack() as stack:
        lists = [
            place.generate(plan.people, entries, plan.seed + more, shape="documents")
            for more in range(2)
        ]
        listed, others = (first_people(path, plan.people) for path in lists)
        files = written(
            place.folder, people_of(listed, others, plan.listed), plan.distinct, plan.seed
        )
        stack.enter_context(place.server())
        place.load(lists[0])
        fill_peer(place, listed)
        key = place.key("check")
        service = stack.enter_context(place.serve())
        targets = [
            Target(CLEARWAY, service.pid, service.port, key),
            stack.enter_context(uvicorn(place, PEER, "benchmarks.compared.peer:app", "/healthz")),
            stack.enter_context(uvicorn(place, CONSTANT, "benchmarks.compared.constant:app", "/")),
        ]
        denied = asyncio.run(compare_answers(targets[:2], files))
        return turns(place, targets, files, plan), denied


@benchmark(__doc__)
@click.option("--people", default=200_000, show_default=True)
@click.option("--listed", default=0.003, show_default=True, help="Share of checks of the listed.")
@click.option("--distinct", default=200_000, show_default=True, help="People asked about.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="Of each turn.")
@click.option("--seed", default=1, show_default=True)
@click.option("--single-peer", default=5.0, show_default=True)
@click.option("--single-constant", default=0.7, show_default=True)
@click.option("--single-cpu", default=1.45, show_default=True, help="At most.")
@click.option("--batch-peer", default=5.0, show_default=True)
@click.option("--small-batch-peer", default=3.0, show_default=True)
@click.option("--batch-cpu", default=0.0625, show_default=True, help="At most.")
def main(**given: Any) -> Report:  # noqa: ANN401 -- the fields of Plan and Least
    """What was measured."""
    least = taken(Least, given)
    found, denied = measure(Plan(**given))
    more = {"turns": found, "client": client_name(), "denied": denied}
    return Report(list(figures(found, least)), list(rows(found)), more=more)


if __name__ == "__main__":
    main()
