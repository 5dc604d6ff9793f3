"""Whom a load asks about: people of a list file, what it says of them at any moment, and others."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from benchmarks.questions import oracle
from benchmarks.questions.oracle import Asked, midnight
from benchmarks.questions.people import Paper, Row, lines, paper_of, unlisted_paper

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

AIR = {"mode": "air"}
_KNOWN_LISTS = {
    *oracle.NO_HIGH_LIFE, *oracle.ALL_FLIGHTS, *oracle.HIGH_SEATS, *oracle.ALL_TRAINS,
}  # fmt: skip
_REISSUED = {"hk_macao_permit": 9, "taiwan_permit": 8}  # what counts of their numbers
_NUMBER, _TYPE = "document_number", "document_type"
_FOREVER = float("inf")
_REMEMBERED_S = 120.0  # longer than any request may take
_SURNAMES, _GIVEN = "赵钱孙李周吴郑王冯陈褚卫", "安邦才达恩帆刚海吉凯兰明宁平"
_LATIN = ("PETROV/IVAN", "SMITH/JOHN", "TANAKA/HIROSHI", "ROSSI/LUCIA")
_NEAR = timedelta(days=2)

Rows = tuple[Row, ...]


class _State:
    """What the list may say of a person from one moment to another, as `time.monotonic` has it."""

    __slots__ = ("begins_s", "ends_s", "followed_s", "rows")

    def __init__(self, rows: Rows, begins_s: float) -> None:
        self.rows, self.begins_s = rows, begins_s
        self.followed_s = self.ends_s = _FOREVER


class Traveller:
    """Somebody with a document; `subject` is the pseudonym that the key knows them by.

    Where they are not `certain`, an earlier load that was killed may have left them unlisted.
    `position` is that of the last change to them which was acknowledged.
    """

    __slots__ = ("_states", "certain", "json", "name", "paper", "position", "rows", "subject")

    def __init__(self, paper: Paper, name: str, rows: Iterable[Row] = ()) -> None:
        """Whom these rows of the list file are about, all that it has of them."""
        self.paper, self.name, self.rows = paper, name, tuple(rows)
        self.json = msgspec.json.encode(paper.json())
        self.subject = self.position = ""
        self.certain = True
        self._states = [_State(self.rows, -_FOREVER)]

    @property
    def unlisted(self) -> bool:
        """Whether the file does not name them at all."""
        return not self.rows

    def possible(self, since_s: float, until_s: float, at_least: str = "") -> list[Rows]:
        """What the list may have said of them between these moments, at that position or later."""
        newest = at_least and at_least == self.position
        return [
            state.rows
            for state in self._states
            if state.begins_s <= until_s
            and since_s <= (state.followed_s if newest else state.ends_s)
        ]

    def doubt(self) -> None:
        """From now on it is not certain that they are listed."""
        self.certain = False
        self._states = [_State((), -_FOREVER), *self._states]

    def change(self, rows: Rows, at_s: float) -> None:
        """A change to these rows is sent: from now on either may hold."""
        kept = [state for state in self._states if state.ends_s > at_s - _REMEMBERED_S]
        self._states = [*kept, _State(rows, at_s)]

    def settle(self, position: str, at_s: float, within_s: float) -> None:
        """The change is acknowledged: what was before it is over within so many seconds."""
        self.position = position
        for state in self._states[:-1]:
            state.followed_s = min(state.followed_s, at_s)
            state.ends_s = min(state.ends_s, at_s + within_s)


class People(NamedTuple):
    """All whom a load asks about, and how many rows the file has."""

    listed: list[Traveller]
    unlisted: list[Traveller]
    rows: int


class Share(NamedTuple):
    """The listed whom all ask about, and those whom one worker alone asks about and changes."""

    steady: list[Traveller]
    mine: list[Traveller]


def read(path: Path, listed: int, unlisted: int, seed: int = 1) -> People:
    """About so many people of a list file, with all that it says of them, and others.

    Chosen by their numbers alone: every worker that reads the file has the same. Whoever has a
    term that begins or ends these days is left out, and so is what `oracle.py` does not know.
    """
    chance = random.Random(seed)
    papers = (unlisted_paper(chance) for _ in range(unlisted))
    others = {_key(paper.type, paper.number): paper for paper in papers}
    numbers = {number for _, number in others}
    cells = lines(path)
    header = next(cells, [])
    place, kind = header.index(_NUMBER), header.index(_TYPE)
    chosen, count = _Smallest(listed), 0
    for row in cells:  # of a nation: nothing dear may be done for each
        count += 1
        number = row[place]
        if number in numbers or row[kind] in _REISSUED:
            others.pop(_key(row[kind], number), None)
        if crc32(number.encode()) < chosen.limit:
            chosen.add(dict(zip(header, row, strict=True)))
    now = oracle.now()
    found = [
        Traveller(paper, rows[0]["name"].partition("|")[0], rows)
        for paper, rows in chosen.found().items()
        if all(_plain(row, now) for row in rows)
    ]
    return People(
        found, [Traveller(paper, _name(paper, chance)) for paper in others.values()], count
    )


def share(listed: Iterable[Traveller], index: int, workers: int) -> Share:
    """Half of the listed are steady, each worker has a part of the others that is its alone.

    The halves are the same however many workers there are: whom a load has left unlisted that was
    killed, is steady in none.
    """
    made = Share([], [])
    for each in listed:
        lot, half = divmod(crc32(each.paper.number.encode(), 1), 2)
        if half or not _movable(each):
            made.steady.append(each)
        elif lot % workers == index:
            made.mine.append(each)
    return made


class _Smallest:
    """The rows of those people whose hashes are the smallest: all of a person's, or none."""

    def __init__(self, count: int) -> None:
        self._count, self.limit = count, 1 << 32
        self._found: dict[Paper, list[Row]] = {}

    def add(self, row: Row) -> None:
        self._found.setdefault(paper_of(row), []).append(row)
        if len(self._found) > 2 * self._count:
            self.found()

    def found(self) -> dict[Paper, list[Row]]:
        marks = {paper: crc32(paper.number.encode()) for paper in self._found}
        if len(marks) > self._count:
            self.limit = sorted(marks.values())[self._count]
            kept = (paper for paper, mark in marks.items() if mark < self.limit)
            self._found = {paper: self._found[paper] for paper in kept}
        return self._found


def _key(kind: str, number: str) -> tuple[str, str]:
    """What makes two spellings of a generated list one document: re-issues of permits."""
    return kind, number[: _REISSUED.get(kind)]


def _plain(row: Row, now: datetime) -> bool:
    terms = (midnight(row[name]) for name in ("from", "until") if row[name])
    return row["list"] in _KNOWN_LISTS and all(abs(term - now) > _NEAR for term in terms)


def _movable(traveller: Traveller) -> bool:
    """Whether putting their rows back makes of them exactly what they were, denied a flight."""
    fresh = all(row["state"] in ("", "active") for row in traveller.rows)
    return fresh and oracle.answer(traveller.rows, Asked(AIR)).decision == "deny"


def _name(paper: Paper, chance: random.Random) -> str:
    if paper.issuer not in ("", "CHN"):
        return chance.choice(_LATIN)
    return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.randrange(1, 3)))
