"""Checks and changes as they come in a day: whom each is about, and the one right answer."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from benchmarks.measuring.client import Connection
from benchmarks.measuring.stage import BenchmarkError
from benchmarks.questions.edits import AIR, addition, decision, grounded, removal
from benchmarks.questions.people import Paper, Row, paper_of, sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SEEN_S = 3.0
"""An addition is seen without `at_least` within CLEARWAY_FRESH_MS at most."""
STEADY = 1_000
_SETTLED_S = 10.0
ALLOW, DENY = b'"decision":"allow"', b'"decision":"deny"'
_REFER = b'"decision":"refer"'
_STALE = b'"stale":true'


class Cast(NamedTuple):
    """Papers of people who stay listed and of people on no list; rows to remove, papers to add."""

    listed: Sequence[Paper]
    others: Sequence[Paper]
    removed: Iterator[Row]
    added: Iterator[Paper]


def cast_of(path: Path, distinct: int, changes: int) -> Cast:
    """So many people who are on no list, and people of the file who may not fly for one entry."""
    rows = grounded(path)
    if len(rows) < changes + 10:
        raise BenchmarkError(f"{len(rows)} people who may not fly are too few: --people")
    others = sample(path, 0.0, distinct + changes).unlisted
    listed = [paper_of(row) for row in rows[changes:]][:STEADY]
    return Cast(listed, others[changes:], iter(rows[:changes]), iter(others[:changes]))


class Traffic:
    """Checks of which this share is about the listed, and changes: removals and additions by turns.

    Whose removal was just acknowledged is asked about next. Of the checks of the listed, half are
    about people who were added, once every process must have seen it.
    """

    def __init__(self, cast: Cast, connection: Connection, listed: float, seed: int) -> None:
        """Requests are written as this connection would."""
        self.referred: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.denied = 0
        self._cast = cast
        self._connection = connection
        self._share = listed
        self._chance = random.Random(seed)
        self._others = [self._check(paper) for paper in cast.others]
        self._listed = [self._check(paper) for paper in cast.listed]
        self._freed: deque[bytes] = deque()
        self._added: deque[tuple[float, bytes]] = deque()
        self._changed: list[tuple[Paper, str]] = []
        self._at = 0

    def ask(self) -> tuple[bytes, bytes]:
        """The next check, and what its answer has to say."""
        if self._chance.random() < self._share:
            return self._deny(), DENY
        if self._freed:
            return self._freed.popleft(), ALLOW
        self._at = (self._at + 1) % len(self._others)
        return self._others[self._at], ALLOW

    def hear(self, expected: bytes, status: int, answer: bytes) -> None:
        """Compare them."""
        self.denied += expected is DENY
        if status != 200:
            self.failed[f"HTTP {status}"] += 1
        elif expected not in answer:
            self._differs(expected, answer)

    def change(self) -> tuple[bytes, tuple[Paper, str]]:
        """The next change; who it is about, and what is right once it is acknowledged."""
        if self._chance.random() < 0.5:
            row = next(self._cast.removed)
            paper, right, change = paper_of(row), "allow", removal(row)
        else:
            paper = next(self._cast.added)
            right, change = "deny", addition(self._chance, paper)
        request = self._connection.request("/v1/changes", {"changes": [change]})
        return request, (paper, right)

    def changed(self, about: tuple[Paper, str], status: int, answer: bytes) -> None:
        """It is acknowledged: from now on this is right."""
        if status != 200 or b'"outcome":"applied"' not in answer:
            self.failed[f"a change is not applied: HTTP {status}"] += 1
            return
        paper, right = about
        self._changed.append(about)
        if right == "allow":
            self._freed.append(self._check(paper))
        else:
            self._added.append((time.monotonic() + SEEN_S, self._check(paper)))

    async def settle(self) -> None:
        """Ask about everybody who was changed, once more."""
        until = time.monotonic() + _SETTLED_S
        async with self._connection as connection:
            for paper, right in self._changed:
                said = await decision(connection, paper)
                while said not in (right, "deny") and time.monotonic() < until:
                    said = await decision(connection, paper)
                if said != right:
                    self.wrong[f"{said} instead of {right} in the end"] += 1

    def _check(self, paper: Paper) -> bytes:
        question = {"document": paper.json(), "journey": AIR}
        return self._connection.request("/v1/check", question)

    def _deny(self) -> bytes:
        if self._added and self._added[0][0] < time.monotonic() and self._chance.random() < 0.5:
            return self._added.popleft()[1]
        return self._chance.choice(self._listed)

    def _differs(self, expected: bytes, answer: bytes) -> None:
        """A referral is not wrong: it cannot decide; nor is `stale`, which says so."""
        if _REFER in answer:
            self.referred[reason(answer)] += 1
        elif _STALE in answer:
            self.referred["stale"] += 1
        else:
            self.wrong[f"not {expected.decode()}"] += 1


def reason(answer: bytes) -> str:
    """Why a check was referred."""
    said: Any = msgspec.json.decode(answer[answer.index(b"\r\n\r\n") :])
    code: str = said["reasons"][0]["code"]
    return code
