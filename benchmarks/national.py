"""The whole way at the nation's size: generate, load, serve, and every answer right.

    python -m benchmarks national [--scale 1.0] [--checked 10000] [--json]

7.85 million entries about 4.40 million people. The answers are judged by an independent
reading of the file (`benchmarks/questions/oracle.py`); then entries are removed, which a second
service process must see at once, and the old file is loaded again, and one of the next day,
which must not bring them back. It ends with status 1 at a wrong answer or a missed limit.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import Running, Stage, stage
from benchmarks.questions import oracle
from benchmarks.questions.asking import cases, judge
from benchmarks.questions.changed import Tomorrow
from benchmarks.questions.edits import AIR
from benchmarks.questions.oracle import Asked
from benchmarks.questions.people import Paper, Row, Sample, rows, sample
from benchmarks.shared.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

PEOPLE, ENTRIES = 4_400_000, 7_850_000
MIB = 1 << 20
SINGLES = 1_000
_A_DAY_LATER = "2019-01-02"
_REWRITE_TIMEOUT_S = 300.0


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded."""

    load_s: float
    reload_s: float
    loader_mib: float
    bytes_a_person: float
    ready_s: float
    filter_mib: float


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    people: int
    entries: int
    checked: int
    unlisted: int
    removed: int
    seed: int


def used_memory(place: Stage) -> int:
    """What the server has allocated, once it is not rewriting its file."""
    deadline = time.monotonic() + _REWRITE_TIMEOUT_S
    with place.client() as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not finish rewriting its file")
            time.sleep(0.05)
        return int(client.info("memory")["used_memory"])


def load(place: Stage, path: Path, plan: Plan, limits: Limits) -> Iterator[Figure]:
    """The first load, and what it costs, also as a multiple of bare SADDs."""
    with place.server():
        empty = used_memory(place)
        loaded = place.load(path)
        used = used_memory(place) - empty
    yield Figure("first load", loaded.seconds, "s", at_most=limits.load_s)
    yield Figure("entries a second", plan.entries / loaded.seconds)
    yield Figure(
        "loader's memory, all processes", loaded.peak_bytes / MIB, "MiB", at_most=limits.loader_mib
    )
    yield Figure(
        "Valkey's memory a person", used / plan.people, "bytes", at_most=limits.bytes_a_person
    )
    yield from bare_adds(path, loaded.seconds)


def bare_adds(path: Path, load_s: float) -> Iterator[Figure]:
    """Beside a load, bare SADDs of the same numbers; no figure where there is no redis-cli."""
    bare_s = bare_add_seconds(row["document_number"].encode() for row in rows(path))
    if bare_s is not None:
        yield Figure("redis-cli --pipe of bare SADDs", bare_s, "s")
        yield Figure("first load, as a multiple of that", load_s / bare_s)


def bare_add_seconds(numbers: Iterable[bytes]) -> float | None:
    """What `redis-cli --pipe` of bare SADDs of the numbers takes into an empty server.

    Reading them is not counted, and the server syncs once a second. None without redis-cli.
    """
    if shutil.which("redis-cli") is None:
        return None
    with stage() as place, tempfile.TemporaryFile() as commands, place.server():
        commands.writelines(map(_sadd, numbers))
        commands.seek(0)
        with place.client() as client:
            client.config_set("appendfsync", "everysec")
        started = time.monotonic()
        subprocess.run(
            ["redis-cli", "-s", str(place.socket), "--pipe"],
            stdin=commands,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.monotonic() - started


def _sadd(number: bytes) -> bytes:
    return b"*3\r\n$4\r\nSADD\r\n$4\r\nbare\r\n$%d\r\n%b\r\n" % (len(number), number)


async def filter_bytes(connection: Connection) -> float:
    """The memory of a process's filters, as its metrics say."""
    text = (await connection.get("/metrics")).body.decode()
    lines = [line for line in text.splitlines() if line.startswith("clearway_filter_bytes ")]
    return float(lines[0].split()[1])


async def decisions(connections: Sequence[Connection], found: Sample, seed: int) -> list[Figure]:
    """How many answers are wrong: all in batches from one process, some one by one from another."""
    asked = list(cases(found, seed))
    batched = await judge(connections[0], asked, single=False)
    step = max(1, len(asked) // SINGLES)
    single = await judge(connections[-1], asked[::step], single=True)
    wrong = batched.wrong + single.wrong
    for fault in wrong[:10]:
        print(f"WRONG: {fault}")
    told = " ".join(f"{name} {count:,}" for name, count in sorted(batched.answers.items()))
    return [
        Figure("listed people asked about", len(found.listed)),
        Figure("unlisted people asked about", len(found.unlisted)),
        Figure(f"wrong answers ({told})", len(wrong), at_most=0),
    ]


def with_two(found: Sample, count: int) -> list[tuple[Paper, list[Row]]]:
    """People who may not fly because of two entries, and of no other."""
    asked = Asked(AIR)
    return [
        (paper, entries)
        for paper, entries in found.listed.items()
        if len(entries) == 2 and len(oracle.answer(entries, asked).entries) == 2
    ][:count]


class Story:
    """What is done to a loaded roster through two service processes."""

    def __init__(self, place: Stage, path: Path, plan: Plan, limits: Limits) -> None:
        """`path` is the file that was loaded."""
        self._place = place
        self._path = path
        self._plan = plan
        self._limits = limits
        self._key = place.key("check", "ops", "list:remove")

    async def figures(self, found: Sample, services: Sequence[Running]) -> list[Figure]:
        """Every answer judged, removals seen, the old file loaded again."""
        async with AsyncExitStack() as stack:
            first, second = [
                await stack.enter_async_context(Connection(service.port, self._key))
                for service in services
            ]
            megabytes = await filter_bytes(first) / MIB
            made = [
                Figure("filter a process", megabytes, "MiB", at_most=self._limits.filter_mib),
                *await decisions((first, second), found, self._plan.seed),
            ]
            freed = with_two(found, self._plan.removed)
            made += await self._removals(Removals(first, second), freed)
            papers = [paper for paper, _ in freed]
            made += await asyncio.to_thread(lambda: list(self._reload(papers)))
            still = Removals(second, first)
            await still.expect_free(papers)
            return [*made, Figure("brought back by the old file", still.wrong, at_most=0)]

    async def _removals(
        self, removals: Removals, people: Sequence[tuple[Paper, list[Row]]]
    ) -> list[Figure]:
        for paper, entries in people:
            await removals.take_off(paper, entries)
        ranked = sorted(removals.seconds)
        return [
            Figure("people taken off, entry by entry", len(people), at_least=1),
            Figure("wrong on the way, as another process sees it", removals.wrong, at_most=0),
            Figure("referred on the way, and asked again", removals.referred),
            Figure("removal, sent to acknowledged, p50", ranked[len(ranked) // 2] * 1000, "ms"),
        ]

    def _reload(self, freed: Sequence[Paper]) -> Iterator[Figure]:
        same, reload_s = self._place.load(self._path), self._limits.reload_s
        yield Figure("the same file, which is not loaded again", same.seconds, "s")
        again = self._place.load(self._path, "--again")
        yield Figure("the same file again", again.seconds, "s", at_most=reload_s)
        tomorrow, path = Tomorrow(freed), self._path.with_name("tomorrow.csv.gz")
        tomorrow.write(self._path, path)
        changed = self._place.load(path, as_of=_A_DAY_LATER)
        yield Figure("a file with 0.2 % changed", changed.seconds, "s", at_most=reload_s)
        wrong = changed.summary["records_written"] - len(tomorrow.people)
        yield Figure("records written but those of who changed", abs(wrong), at_most=0)


def serve(place: Stage, path: Path, plan: Plan, limits: Limits) -> list[Figure]:
    """Starts timed, answers judged."""
    listed = min(1.0, plan.checked * 1.05 / plan.people)
    found = sample(path, listed, plan.unlisted, plan.seed)
    found = found._replace(listed=dict(list(found.listed.items())[: plan.checked]))
    story = Story(place, path, plan, limits)
    with ExitStack() as stack:
        services = [stack.enter_context(place.serve()) for _ in range(2)]
        starts = [
            Figure("start to ready, with the server", services[0].ready_s, "s"),
            Figure("start to ready, beside it", services[1].ready_s, "s"),
        ]
        starts = [msgspec.structs.replace(each, at_most=limits.ready_s) for each in starts]
        return starts + asyncio.run(story.figures(found, services))


def measure(plan: Plan, limits: Limits) -> list[Figure]:
    """Everything, on a stage of its own."""
    with stage() as place:
        started = time.monotonic()
        path = place.generate(plan.people, plan.entries, plan.seed)
        made = [Figure("generate", time.monotonic() - started, "s")]
        made += load(place, path, plan, limits)
        return made + serve(place, path, plan, limits)


@benchmark(__doc__)
@click.option("--scale", default=1.0, show_default=True, help="Of 4.40 million people.")
@click.option("--checked", default=10_000, show_default=True, help="Listed people asked about.")
@click.option("--unlisted", default=100_000, show_default=True, help="Others asked about.")
@click.option("--removed", default=200, show_default=True, help="People with two entries.")
@click.option("--seed", default=1, show_default=True)
@click.option("--load-s", default=45.0, show_default=True)
@click.option("--reload-s", default=30.0, show_default=True)
@click.option("--loader-mib", default=1024.0, show_default=True)
@click.option("--bytes-a-person", default=128.0, show_default=True)
@click.option("--ready-s", default=3.0, show_default=True)
@click.option("--filter-mib", default=16.0, show_default=True)
def main(*, scale: float, **options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    plan = Plan(round(PEOPLE * scale), round(ENTRIES * scale), **options)
    return Report(measure(plan, limits), more={"people": plan.people, "entries": plan.entries})


if __name__ == "__main__":
    main()
