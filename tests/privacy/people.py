"""A list of people whose names nobody else has, made of one of `clearway generate`'s.

The search for names of two characters would find them everywhere by chance; so would that for
permits of eight digits, which are left out.
"""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LEAST_DIGITS = 9
HAN = range(0x4E00, 0x9FA0)
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
GONE_ONE_IN, BAD_ROWS = 60, 40


class Person(NamedTuple):
    """Somebody on the list, or nobody's neighbour: a document as it is sent, and a name."""

    type: str
    number: str
    issuer: str
    name: str

    @property
    def document(self) -> dict[str, str]:
        known = {"type": self.type, "number": self.number, "issuer": self.issuer}
        return {name: text for name, text in known.items() if text}


class Invented(NamedTuple):
    """A list today and tomorrow, the people on it, and the texts that are in bad rows only."""

    today: Path
    tomorrow: Path
    people: list[Person]
    bad: list[str]
    lists: list[str]


def invent(made: Path, into: Path) -> Invented:
    """Give everybody on a generated list another name."""
    with made.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if len(row["document_number"]) >= LEAST_DIGITS]
    chance = random.Random(7)
    names: dict[str, str] = {}
    for row in rows:
        number = row["document_number"]
        names[number] = names.get(number) or new_name(chance, latin="/" in row["name"])
        row["name"] = names[number]
    known = {row["document_number"]: row for row in rows}
    people = [
        Person(row["document_type"], number, row["document_issuer"], row["name"])
        for number, row in known.items()
    ]
    bad = _spoilt(rows[:BAD_ROWS], chance)
    tomorrow = [row for at, row in enumerate(rows) if at % GONE_ONE_IN]
    return Invented(
        _written(into / "today.csv", [*rows, *bad]),
        _written(into / "tomorrow.csv", [*tomorrow, *bad]),
        people,
        [row[column] for row in bad for column in ("document_number", "name")],
        sorted({row["list"] for row in rows}),
    )


def new_name(chance: random.Random, *, latin: bool) -> str:
    if latin:
        surname, given = ("".join(chance.choices(LATIN, k=9)) for _ in range(2))
        return f"{surname}/{given}"
    return "".join(map(chr, chance.choices(HAN, k=6)))


def strangers(count: int) -> list[Person]:
    """People who are on no list: births in another century than the list's."""
    chance = random.Random(8)
    found = []
    for at in range(count):
        digits = f"654301{1800 + at % 80}12{at // 80 % 28 + 1:02d}{chance.randrange(1000):03d}"
        found.append(Person("resident_id", _checked(digits), "", new_name(chance, latin=False)))
    return found


def _checked(digits: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(map(int.__mul__, map(int, digits), weights)) % 11]


def _spoilt(rows: list[dict[str, str]], chance: random.Random) -> list[dict[str, str]]:
    """Rows that cannot be used, each for another reason, of people of their own."""
    spoilt = []
    for at, (row, person) in enumerate(zip(rows, strangers(len(rows)), strict=True)):
        bad = row | {"name": new_name(chance, latin=False), "entry_id": f"bad-{at}"}
        bad["document_type"], bad["document_issuer"] = "resident_id", ""
        bad["document_number"] = person.number
        column, text = (
            ("document_number", person.number + "00"),
            ("entry_id", f"of {person.number}"),
            ("from", person.number),
            ("revision", person.number + "."),
            ("document_type", person.name),
            ("name", bad["name"] * 20),
            ("state", person.name),
            ("court", person.number),
        )[at % 8]
        spoilt.append(bad | {column: text})
    return spoilt


def _written(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
