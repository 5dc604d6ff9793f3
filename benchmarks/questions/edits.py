"""Changes and checks about people of a generated list, and how long they take."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.stage import BenchmarkError
from benchmarks.questions import oracle
from benchmarks.questions.oracle import Asked
from benchmarks.questions.people import Paper, Row, paper_of, rows

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.measuring.client import Connection

AIR = {"mode": "air"}
_LONGEST_US = 60_000_000
_STEPS = 10  # from each nine to the next


class Times:
    """Durations, to the microsecond."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        """These, for a start."""
        self._histogram = HdrHistogram(1, _LONGEST_US, 3)
        for each in seconds:
            self._histogram.record_value(max(1, round(each * 1e6)))

    def add(self, since: float) -> None:
        """The time from `since`, a `perf_counter`, until now."""
        self._histogram.record_value(max(1, round((time.perf_counter() - since) * 1e6)))

    def curve(self) -> list[tuple[float, float]]:
        """Percentiles with their milliseconds, denser the rarer they are."""
        steps = range(int(_STEPS * math.log10(max(1, self.count))) + 1)
        nines = [100 - 100 * 10 ** (-step / _STEPS) for step in steps]
        return [(percentile, self.ms(percentile)) for percentile in nines]

    def encoded(self) -> str:
        """All of them, in us, as HdrHistogram writes it."""
        text: bytes = self._histogram.encode()
        return text.decode()

    def ms(self, percentile: float) -> float:
        """A percentile, in milliseconds."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1000

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._histogram.get_total_count())


def grounded(path: Path) -> list[Row]:
    """The rows of people whose only entry keeps them from flying, in the file's order."""
    found: dict[Paper, Row | None] = {}
    for row in rows(path):
        paper = paper_of(row)
        found[paper] = None if paper in found else row
    asked = Asked(AIR)
    now = oracle.now()
    only = (row for row in found.values() if row is not None)
    return [row for row in only if oracle.answer([row], asked, now).decision == "deny"]


def removal(row: Row) -> dict[str, Any]:
    """The change that takes an entry off now."""
    return {
        "op": "remove",
        "list": row["list"],
        "entry_id": row["entry_id"],
        "revision": time.time_ns() // 1_000_000,
        "document": paper_of(row).json(),
        "reason": "performed",
    }


def addition(chance: random.Random, paper: Paper) -> dict[str, Any]:
    """The change that puts somebody on a list now.

    Its entry id has too few digits to hold an ID number: a time in ns may, and is refused.
    """
    return {
        "op": "put",
        "list": "sx",
        "entry_id": f"bench-{chance.getrandbits(64):016x}",
        "revision": time.time_ns() // 1_000_000,
        "document": paper.json(),
        "entry": {"case": "(2018)京0105执1号"},
    }


def require_applied(result: dict[str, Any]) -> None:
    """Nothing; raises BenchmarkError where a change was not applied: nobody can see it then."""
    if result["outcome"] != "applied":
        raise BenchmarkError(f"an addition was not applied: {result}")


async def said(connection: Connection, paper: Paper) -> dict[str, Any]:
    """What a process answers of somebody who wants to fly."""
    question = {"document": paper.json(), "journey": AIR}
    answer: dict[str, Any] = (await connection.post("/v1/check", question)).json()
    return answer


async def decision(connection: Connection, paper: Paper) -> str:
    """What a process decides of somebody who wants to fly; of a refer also why."""
    answer = await said(connection, paper)
    decided: str = answer["decision"]
    return f"refer: {answer['reasons'][0]['code']}" if decided == "refer" else decided
