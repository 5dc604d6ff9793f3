"""Asks a service about many people, and compares its answers with the oracle's."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.questions import oracle
from benchmarks.questions.oracle import Asked, Expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measuring.client import Connection
    from benchmarks.questions.people import Paper, Row, Sample

BATCH = 500
CLEAR = Expected("allow", None, frozenset())


class Case(NamedTuple):
    """A question about a person, and the rows that it is to be judged by."""

    paper: Paper
    rows: list[Row]
    asked: Asked

    @property
    def request(self) -> dict[str, Any]:
        """As a request says it."""
        name = {"name": self.asked.name} if self.asked.name else {}
        return {"document": self.paper.json(), "journey": self.asked.journey, **name}


class PackedBlock(NamedTuple):
    """How many answers there were of each kind; of the wrong ones, what they should have been."""

    answers: dict[str, int]
    wrong: list[str]


def cases(found: Sample, seed: int) -> Iterator[Case]:
    """One question about each person of a sample; all of the unlisted must be cleared."""
    chance = random.Random(seed)
    for paper, rows in found.listed.items():
        yield Case(paper, rows, oracle.question(chance, [row["name"] for row in rows]))
    for paper in found.unlisted:
        yield Case(paper, [], oracle.question(chance, []))


async def judge(connection: Connection, asked: Sequence[Case], *, single: bool) -> PackedBlock:
    """What a service answers to these, one by one or in batches, against the oracle."""
    answers: dict[str, int] = {}
    wrong: list[str] = []
    size = 1 if single else BATCH
    for first in range(0, len(asked), size):
        part = asked[first : first + size]
        for case, answer in zip(part, await _ask(connection, part, single=single), strict=True):
            decision = answer.get("decision", "error")
            answers[decision] = answers.get(decision, 0) + 1
            fault = difference(case, answer)
            if fault:
                wrong.append(fault)
    return PackedBlock(answers, wrong)


async def _ask(connection: Connection, part: Sequence[Case], *, single: bool) -> list[Any]:
    if single:
        return [(await connection.post("/v1/check", part[0].request)).json()]
    items = {"items": [case.request for case in part]}
    results: list[Any] = (await connection.post("/v1/check/batch", items)).json()["results"]
    return results


def difference(case: Case, answer: dict[str, Any]) -> str:
    """How an answer differs from the right one, without naming anybody; empty where it does not."""
    expected = oracle.answer(case.rows, case.asked)
    decision = answer.get("decision", "error")
    seen = f"{case.asked.journey}, {[_about(row) for row in case.rows]}"
    if decision != expected.decision:
        return f"{decision} instead of {expected.decision}: {seen}"
    if expected.name_check != answer.get("name_check") and expected.name_check:
        return f"name_check {answer.get('name_check')}, not {expected.name_check}: {seen}"
    reasons = answer.get("reasons", [])
    if decision == "deny":
        named = {(reason["list"], reason["entry_id"]) for reason in reasons}
        if not named or not named <= expected.entries:
            return f"denied for entries that do not forbid it: {seen}"
    if not case.rows and (reasons or answer.get("subject")):
        return f"an unlisted person is said to be on the roster: {seen}"
    return ""


def _about(row: Row) -> str:
    return " ".join(row[name] for name in ("list", "state", "from", "until") if row[name])
