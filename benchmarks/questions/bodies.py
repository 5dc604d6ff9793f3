"""What carriers send: single checks and batches, of as many people as no cache holds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from benchmarks.questions.people import Paper, unlisted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

AIR, RAIL = {"mode": "air"}, {"mode": "rail", "train": "G101", "seat": "O"}
SINGLE, BATCH = "/v1/check", "/v1/check/batch"
_SEATS = {"G": "OM9", "D": "OM4", "C": "OM", "Z": "134", "T": "134", "K": "134"}
_TRAIN_MAX = 60
_SURNAMES, _GIVEN = "赵钱孙李周吴郑王冯陈褚卫", "安邦才达恩帆刚海吉凯兰明宁平"


class Shape(NamedTuple):
    """One kind of request; a batch has so many `checks`, and is sent on so many connections."""

    name: str
    path: str
    checks: int
    connections: int


SHAPES = (
    Shape("single, air", SINGLE, 1, 16),
    Shape("single, rail, named", SINGLE, 1, 16),
    Shape("batch, one journey", BATCH, 500, 4),
    Shape("batch, rail manifest", BATCH, 500, 4),
    Shape("batch, mixed documents", BATCH, 500, 4),
    Shape("small batch, rail manifest", BATCH, 10, 8),
)


class People(NamedTuple):
    """Who is asked about: `listed` of them are on a list, and others on none."""

    names: Mapping[Paper, str]
    cards: Sequence[Paper]
    papers: Sequence[Paper]
    others: Sequence[Paper]
    listed: float

    def card(self, chance: random.Random) -> Paper:
        """Somebody's ID card."""
        return chance.choice(self.cards) if chance.random() < self.listed else unlisted(chance)

    def paper(self, chance: random.Random) -> Paper:
        """Somebody's document of any type."""
        return chance.choice(self.papers if chance.random() < self.listed else self.others)

    def name(self, paper: Paper, chance: random.Random) -> str:
        """Whose document it is."""
        return self.names.get(paper) or _name(chance)


def people_of(names: Mapping[Paper, str], others: Iterable[Paper], listed: float) -> People:
    """The people of a list with their names, and those of another one who are not on it."""
    cards = [paper for paper in names if paper.type == "resident_id"]
    unknown = [paper for paper in others if paper not in names]
    return People(names, cards, list(names), unknown, listed)


def written(
    folder: Path, people: People, distinct: int, seed: int, shapes: Sequence[Shape] = SHAPES
) -> dict[str, Path]:
    """The requests of each shape in a file, one a line, about so many people; all get these."""
    found = {}
    for number, shape in enumerate(shapes):
        chance = random.Random(seed + number)
        path = found[shape.name] = folder / f"requests-{number}.jsonl"
        with path.open("wb") as file:
            for _ in range(max(8, distinct // shape.checks)):
                file.write(msgspec.json.encode(_MADE[shape.name](people, chance, shape)) + b"\n")
    return found


def _air(people: People, chance: random.Random, _: Shape) -> dict[str, Any]:
    return {"document": people.card(chance).json(), "journey": AIR}


def _rail(people: People, chance: random.Random, _: Shape) -> dict[str, Any]:
    paper = people.card(chance)
    name = people.name(paper, chance)
    return {"document": paper.json(), "journey": _train(chance), "name": name}


def _one_journey(people: People, chance: random.Random, shape: Shape) -> dict[str, Any]:
    items = [{"document": people.card(chance).json()} for _ in range(shape.checks)]
    return {"items": items, "journey": chance.choice((AIR, RAIL))}


def _manifest(people: People, chance: random.Random, shape: Shape) -> dict[str, Any]:
    """Passengers of a day's trains: each has a journey, a seat, a name and a reference."""
    items = [_rail(people, chance, shape) for _ in range(shape.checks)]
    return {
        "items": [
            item | {"reference": f"E{chance.randrange(10**9):09}-{number}"}
            for number, item in enumerate(items)
        ]
    }


def _mixed(people: People, chance: random.Random, shape: Shape) -> dict[str, Any]:
    journeys = (AIR, _train(chance), RAIL, {"mode": "ship", "cabin": "third"})
    return {
        "items": [
            {"document": people.paper(chance).json(), "journey": chance.choice(journeys)}
            for _ in range(shape.checks)
        ]
    }


def _train(chance: random.Random) -> dict[str, str]:
    letter = chance.choice([*_SEATS])
    train, seat = f"{letter}{chance.randrange(1, _TRAIN_MAX)}", chance.choice(_SEATS[letter])
    return {"mode": "rail", "train": train, "seat": seat}


def _name(chance: random.Random) -> str:
    return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.randrange(1, 3)))


_MADE: dict[str, Callable[[People, random.Random, Shape], dict[str, Any]]] = dict(
    zip(
        (shape.name for shape in SHAPES),
        (_air, _rail, _one_journey, _manifest, _mixed, _manifest),
        strict=True,
    )
)
