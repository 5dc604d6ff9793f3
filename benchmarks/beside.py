"""Single changes while whole files come in: nobody waits, nothing is lost, no answer is wrong.

    python -m benchmarks beside [--scale 0.1] [--rate 100] [--people 400] [--json]

A service on an embedded server that syncs every write; the nation's list at this scale is
loaded for the first time, and then once more, while one connection takes people off and puts
them on by turns: some whom the file names, some whom it does not. A second connection asks
about them all the time: whose removal is acknowledged is allowed, whose addition is, is
denied; a referral is counted apart. At the end every one of them is looked up. Ends with
status 1 at a wrong answer, a lost change or a missed limit.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import stage
from benchmarks.national import ENTRIES, PEOPLE
from benchmarks.questions import edits
from benchmarks.questions.edits import AIR, Times, grounded
from benchmarks.questions.people import Paper, paper_of, unlisted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measuring.stage import Ran, Running, Stage

READY = "lift"
"""The list without which nobody is decided: it is empty, so the others' first load is beside a
service that decides."""
SEEN_S = 3.0
"""An addition is seen without `at_least` within CLEARWAY_FRESH_MS at most."""
_CHECK_EVERY_S = 0.004
_DEADLINE_S = 5.0


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    scale: float
    rate: int
    people: int
    seed: int


class Limits(msgspec.Struct, frozen=True):
    """What may not be exceeded; `referred` is a share of the checks, in percent."""

    p99_ms: float
    referred: float


class Person:
    """Somebody with one entry, and what is known of it."""

    def __init__(self, paper: Paper, of: str, entry_id: str, *, known: bool) -> None:
        """`known` where the file has the entry; until it is loaded, nothing is expected."""
        self.paper = paper
        self.list = of
        self.entry_id = entry_id
        self.listed: bool | None = None if known else False
        self.changing = False
        self.edits = 0
        self.position = ""
        self.acknowledged_s = 0.0

    @property
    def expected(self) -> str:
        """The one right decision; nothing while none is certain."""
        if self.changing or self.listed is None:
            return ""
        return "deny" if self.listed else "allow"

    def change(self) -> dict[str, Any]:
        """The next edit: off if on, on if off."""
        change: dict[str, Any] = {
            "op": "put" if self.listed is False else "remove",
            "list": self.list,
            "entry_id": self.entry_id,
            "revision": time.time_ns() // 1_000_000,
            "document": self.paper.json(),
        }
        if self.listed is False:
            return change | {"entry": {"case": self.entry_id}}
        return change | {"reason": "performed"}


class Beside:
    """Changes at a steady rate on one connection, checks of the same people on another."""

    def __init__(self, people: Sequence[Person], plan: Plan) -> None:
        """`ended` is set from outside."""
        self.times = Times()
        self.ended = False
        self.checks = self.referred = 0
        self.wrong: Counter[str] = Counter()
        self._people = people
        self._interval_s = 1 / plan.rate
        self._chance = random.Random(plan.seed)

    async def change(self, connection: Connection) -> None:
        """Nothing, once it has ended; every change was acknowledged."""
        started, index = time.perf_counter(), 0
        while not self.ended:
            await asyncio.sleep(started + index * self._interval_s - time.perf_counter())
            index += 1
            await self._change(connection, self._chance.choice(self._people))

    async def _change(self, connection: Connection, person: Person) -> None:
        change = person.change()
        request = connection.request("/v1/changes", {"changes": [change]})
        person.changing = True
        sent = time.perf_counter()
        answer = (await connection.send(request)).json()
        self.times.add(sent)
        outcome = answer["results"][0].get("outcome")
        if outcome not in ("applied", "unseen"):
            self.wrong[f"{change['op']} was {outcome}"] += 1
        person.listed = change["op"] == "put"
        person.position, person.acknowledged_s = answer["position"], time.monotonic()
        person.edits += 1
        person.changing = False

    async def check(self, connection: Connection) -> None:
        """Nothing, once it has ended; half of those asked about were changed just now."""
        while not self.ended:
            recent = max(self._chance.sample(self._people, 8), key=lambda each: each.acknowledged_s)
            for person in (recent, self._chance.choice(self._people)):
                await self._check(connection, person)
            await asyncio.sleep(_CHECK_EVERY_S)

    async def _check(self, connection: Connection, person: Person) -> None:
        expected, edits = person.expected, person.edits
        if not expected:
            return
        question: dict[str, Any] = {"document": person.paper.json(), "journey": AIR}
        if person.listed and time.monotonic() < person.acknowledged_s + SEEN_S:
            question["at_least"] = person.position
        decided = (await connection.post("/v1/check", question)).json()["decision"]
        self.checks += 1
        if decided == "refer":  # not wrong: it says that it cannot decide
            self.referred += 1
        elif decided != expected and (person.edits, person.changing) == (edits, False):
            self.wrong[f"{decided} instead of {expected}"] += 1

    async def lost(self, connection: Connection) -> int:
        """How many people's last change cannot be seen, once the load is over."""
        changed = [person for person in self._people if person.edits]
        return sum([await _lost(connection, person) for person in changed])


async def _lost(connection: Connection, person: Person) -> bool:
    question = {"document": person.paper.json()}
    found = (await connection.post("/v1/entries/find", question)).json()
    states = {(each["list"], each["entry_id"]): each["state"] for each in found["entries"]}
    state = states.get((person.list, person.entry_id))
    decided = await edits.decision(connection, person.paper)
    deadline = time.monotonic() + _DEADLINE_S
    while decided.startswith("refer") and time.monotonic() < deadline:
        decided = await edits.decision(connection, person.paper)
    return state != ("active" if person.listed else "removed") or decided != person.expected


def crowd(path: Path, plan: Plan) -> list[Person]:
    """Half of them people of the file whom one entry keeps from flying, half of them nobody."""
    chance = random.Random(plan.seed)
    rows = chance.sample(grounded(path), plan.people // 2)
    known = [Person(paper_of(row), row["list"], row["entry_id"], known=True) for row in rows]
    papers = {unlisted(chance) for _ in range(plan.people // 2)}
    case = "(2018)京0105执{}号"
    # Case numbers that no generated list has.
    others = [
        Person(paper, "sx", case.format(9_000_000 + index), known=False)
        for index, paper in enumerate(sorted(papers))
    ]
    return known + others


class Story:
    """Two loads of a file, each with changes and checks beside it."""

    def __init__(self, place: Stage, path: Path, plan: Plan, limits: Limits) -> None:
        """The service's list is covered already."""
        self._place = place
        self._path = path
        self._plan = plan
        self._limits = limits
        self._people = crowd(path, plan)

    async def figures(self, service: Running, key: str) -> list[Figure]:
        """First load and reload."""
        async with AsyncExitStack() as stack:
            change, ask = [
                await stack.enter_async_context(Connection(service.port, key)) for _ in range(2)
            ]
            made = []
            for name in ("first load", "reload"):
                beside = Beside(self._people, self._plan)
                ran = await self._beside(beside, change, ask)
                made += [
                    Figure(f"entries of the {name}", ran.summary["rows"]),
                    Figure(f"seconds of the {name}", ran.seconds, "s"),
                    *self._judged(f"beside the {name}", beside, ran.seconds),
                ]
                made += [Figure(f"lost beside the {name}", await beside.lost(ask), at_most=0)]
            return made

    async def _beside(self, beside: Beside, change: Connection, ask: Connection) -> Ran:
        tasks = [
            asyncio.create_task(beside.change(change)),
            asyncio.create_task(beside.check(ask)),
        ]
        try:
            ran = await asyncio.to_thread(self._place.load, self._path, "--again")
        finally:
            beside.ended = True
            await asyncio.gather(*tasks)
        return ran

    def _judged(self, where: str, beside: Beside, seconds: float) -> list[Figure]:
        times, limit = beside.times, self._limits.p99_ms
        name = f"a change {where}, sent to acknowledged"
        referred = 100 * beside.referred / max(1, beside.checks)
        return [
            Figure(f"changes a second {where}", times.count / seconds),
            Figure(f"{name}: p50", times.ms(50), "ms"),
            Figure(f"{name}: p99", times.ms(99), "ms", at_most=limit),
            Figure(f"{name}: longest", times.ms(100), "ms"),
            Figure(f"checks {where}", beside.checks, at_least=1),
            Figure(f"referred {where}", referred, "%", at_most=self._limits.referred),
            *(Figure(f"{where}: {what}", count) for what, count in beside.wrong.items()),
            Figure(f"wrong {where}", beside.wrong.total(), at_most=0),
        ]


def measure(plan: Plan, limits: Limits) -> list[Figure]:
    """All figures, on a stage of its own."""
    with stage() as place, ExitStack() as stack:
        place.env["CLEARWAY_REQUIRED_LISTS"] = READY
        path = place.generate(round(PEOPLE * plan.scale), round(ENTRIES * plan.scale), plan.seed)
        story = Story(place, path, plan, limits)
        stack.enter_context(place.server())
        nothing = place.folder / "nothing.csv"
        nothing.write_text("entry_id,document_type,document_number\n")
        place.run("load", str(nothing), "--list", READY, "--as-of", "2018-01-01", "--allow-empty")
        key = place.key("check", "list:read", "list:add", "list:remove")
        service = stack.enter_context(place.serve())
        return asyncio.run(story.figures(service, key))


@benchmark(__doc__)
@click.option("--scale", default=0.1, show_default=True, help="Of 4.40 million people.")
@click.option("--rate", default=100, show_default=True, help="Changes a second.")
@click.option("--people", default=400, show_default=True, help="Who is changed.")
@click.option("--seed", default=1, show_default=True)
@click.option("--p99-ms", default=20.0, show_default=True)
@click.option("--referred", default=1.0, show_default=True, help="Of the checks, in percent.")
def main(**options: Any) -> Report:  # noqa: ANN401 -- Plan and Limits
    """What was measured."""
    limits = taken(Limits, options)
    return Report(measure(Plan(**options), limits))


if __name__ == "__main__":
    main()
