"""What open polls of the feed cost those who change something and those who are checked.

    python -m benchmarks feed [--polls 300] [--rate 50] [--seconds 10] [--rounds 3] [--json]

A service on an embedded server that syncs every write; one connection takes people off and puts
them on at a steady rate, another one asks about people who are listed all the time. In turns
without polls and beside them, which are in a process of their own. Ends with status 1 where
somebody listed is not denied, a poll fails, or a change's median is more than `--ratio` times
that without polls.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import stage
from benchmarks.questions.edits import Times, addition, decision, grounded
from benchmarks.questions.people import paper_of, unlisted
from benchmarks.shared.polling import Polls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measuring.stage import Running
    from benchmarks.questions.people import Row
    from benchmarks.shared.polling import Polled

PEOPLE, ENTRIES = 20_000, 35_000
KEYS = 10
_CHECK_EVERY_S = 0.01
_SETTLED_S = 1.0


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    polls: int
    rate: int
    seconds: float
    rounds: int
    ratio: float


class Turn:
    """Changes and checks for a while, with or without polls beside them."""

    def __init__(self, plan: Plan, people: Sequence[Row]) -> None:
        """`people` are listed."""
        self.changes = Times()
        self.checks = Times()
        self.wrong: Counter[str] = Counter()
        self._plan = plan
        self._people = people
        self._ended = False

    async def run(self, change: Connection, ask: Connection) -> None:
        """Nothing, when the time is over."""
        checking = asyncio.create_task(self._check(ask))
        chance = random.Random(time.time_ns())
        started = time.perf_counter()
        for index in range(round(self._plan.rate * self._plan.seconds)):
            await asyncio.sleep(started + index / self._plan.rate - time.perf_counter())
            request = change.request(
                "/v1/changes", {"changes": [addition(chance, unlisted(chance))]}
            )
            sent = time.perf_counter()
            (await change.send(request)).json()
            self.changes.add(sent)
        self._ended = True
        await checking

    async def _check(self, ask: Connection) -> None:
        chance = random.Random(1)
        while not self._ended:
            sent = time.perf_counter()
            decided = await decision(ask, paper_of(chance.choice(self._people)))
            self.checks.add(sent)
            self.wrong[decided] += decided != "deny"
            await asyncio.sleep(_CHECK_EVERY_S)


async def turns(
    plan: Plan, service: Running, keys: Sequence[str], people: Sequence[Row]
) -> tuple[list[tuple[Turn, Turn]], list[Polled]]:
    """Pairs of turns without and with polls, and what the polls got."""
    pairs, polled = [], []
    async with AsyncExitStack() as stack:
        change, ask = [
            await stack.enter_async_context(Connection(service.port, keys[0])) for _ in range(2)
        ]
        await Turn(plan, people).run(change, ask)  # warm
        for _ in range(plan.rounds):
            quiet, beside = Turn(plan, people), Turn(plan, people)
            await quiet.run(change, ask)
            polls = Polls(service.port, plan.polls, list(keys[1:]))
            await polls.start()
            await asyncio.sleep(_SETTLED_S)
            await beside.run(change, ask)
            polled.append(await polls.end())
            pairs.append((quiet, beside))
    return pairs, polled


def figures(plan: Plan, pairs: list[tuple[Turn, Turn]], polled: list[Polled]) -> list[Figure]:
    """Medians over the rounds."""
    medians = [(quiet.changes.ms(50), beside.changes.ms(50)) for quiet, beside in pairs]
    ratio = statistics.median(beside / quiet for quiet, beside in medians)
    name = f"a change beside {plan.polls} polls"
    checks = [beside.checks for _, beside in pairs]
    wrong = sum((beside.wrong for _, beside in pairs), Counter[str]())
    seconds = plan.rounds * plan.seconds
    return [
        Figure("a change without polls: p50", statistics.median(q for q, _ in medians), "ms"),
        Figure(f"{name}: p50", statistics.median(b for _, b in medians), "ms"),
        Figure(f"{name}: p50, times that without", ratio, at_most=plan.ratio),
        Figure(f"{name}: p99", max(beside.changes.ms(99) for _, beside in pairs), "ms"),
        Figure("a check of a listed person: p99", max(each.ms(99) for each in checks), "ms"),
        Figure("checks of listed people", sum(each.count for each in checks), at_least=1),
        *(Figure(f"answered {what}", count) for what, count in wrong.items() if count),
        Figure("listed people who were not denied", wrong.total(), at_most=0),
        Figure("answers to polls a second", sum(each.answers for each in polled) / seconds),
        Figure("changes told a second", sum(each.changes for each in polled) / seconds),
        Figure("told after: p50", statistics.median(each.p50_ms for each in polled), "ms"),
        Figure("told after: p99", max(each.p99_ms for each in polled), "ms"),
        Figure("polls that failed", sum(each.failed for each in polled), at_most=0),
    ]


def measure(plan: Plan) -> list[Figure]:
    """All figures, on a stage of its own."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(PEOPLE, ENTRIES)
        stack.enter_context(place.server())
        place.load(path)
        keys = [place.key("check", "list:add"), place.key("list:read")]
        keys += [place.key("feed") for _ in range(KEYS - 1)]
        service = stack.enter_context(place.serve())
        return figures(plan, *asyncio.run(turns(plan, service, keys, grounded(path))))


@benchmark(__doc__)
@click.option("--polls", default=300, show_default=True, help="Open all the time.")
@click.option("--rate", default=50, show_default=True, help="Changes a second.")
@click.option("--seconds", default=10.0, show_default=True, help="Of each turn.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--ratio", default=1.2, show_default=True, help="Of the medians, with and without.")
def main(**options: Any) -> Report:  # noqa: ANN401 -- Plan
    """What was measured."""
    return Report(measure(Plan(**options)))


if __name__ == "__main__":
    main()
