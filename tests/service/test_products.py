"""What docs/api.md and docs/domain.md tell of seats, trains and cabins is what is answered."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.rosters import desk, edit
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

Asked = tuple[str, str, str]
"""A list; a train's letter, `ship` or `air`; a seat or cabin."""
API = (ROOT / "docs/api.md").read_text(encoding="utf-8").split("### Seats, trains and cabins")[1]
DOMAIN = (ROOT / "docs/domain.md").read_text(encoding="utf-8").split("## Seats and trains")[1]
FILE = tomllib.loads((ROOT / "roster/lists.toml").read_text(encoding="utf-8"))
LISTS = [each["id"] for each in FILE["list"] if each["code"] < 200]
LETTERS = {"G": ["G"], "D, C": ["D", "C"], "Z, T, K, Y, L, none": ["Z", "T", "K", "Y", "L", ""]}
OTHERS = "ABEFHIJMNOPQRSUVWX"
SEATS, CABINS = list(FILE["seats"]), list(FILE["cabins"])
PLACES = [
    *(("air", ""),),
    *product(["G", "D", "C", "Z", "T", "K", "Y", "L", "", *OTHERS], [*SEATS, "XX"]),
    *(("ship", cabin) for cabin in CABINS),
]


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first heading is this."""
    rows = re.search(rf"^\| {first} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def by_seat() -> dict[tuple[str, str], str]:
    """What the table says of a train's letter and a seat; of the last one column for all others."""
    told: dict[tuple[str, str], str] = {}
    for seat, _, *cells in table(API, "seat"):
        for letters, cell in zip([*LETTERS.values(), OTHERS], cells, strict=True):
            told |= {(letter, words(seat)[0]): words(cell)[0] for letter in letters}
    return told


def told() -> Iterator[tuple[Asked, str]]:
    """Every place with what the page says of it."""
    seats = by_seat()
    cabins = {words(cabin)[0]: words(says)[0] for cabin, _, says in table(API, "cabin")}
    rules = {words(name)[0]: cells for name, *cells in table(API, "list")}
    for name, (kind, which) in product(rules, PLACES):
        air, rail, ship = rules[name]
        rule = {"air": air, "ship": ship}.get(kind, rail)
        if rule == "by seat":
            yield (name, kind, which), seats.get((kind, which), "refer")
        else:
            yield (name, kind, which), cabins[which] if rule == "by cabin" else words(rule)[0]


def person(name: str) -> dict[str, str]:
    """Who is on this list."""
    return {"type": "passport", "issuer": "CHN", "number": f"E1800000{LISTS.index(name)}"}


def journey(kind: str, which: str) -> dict[str, str]:
    if kind == "air":
        return {"mode": "air"}
    if kind == "ship":
        return {"mode": "ship", "cabin": which}
    return {"mode": "rail", "train": f"{kind}101", "seat": which}


async def answered(api: Any, asked: list[Asked]) -> dict[Asked, str]:  # noqa: ANN401 -- a Desk
    """The decisions of a service on whose lists one person each is."""
    found = {}
    for at in range(0, len(asked), 1000):
        some = asked[at : at + 1000]
        items = [{"document": person(n), "journey": journey(k, w)} for n, k, w in some]
        results = (await api.post("/v1/check/batch", {"items": items}))["results"]
        for place, result in zip(some, results, strict=True):
            found[place] = result["decision"]
            codes = {"deny": ["listed"], "refer": ["product_unknown"], "allow": []}
            given = [reason["code"] for reason in result.get("reasons", [])]
            assert given == codes[result["decision"]], place
    return found


async def test_each_list_refuses_what_the_tables_say(valkey: Server, tmp_path: Path) -> None:
    says = dict(told())
    assert len(says) == len(LISTS) * len(PLACES)
    async with desk(valkey, tmp_path) as api:
        puts = [edit("put", list=name, document=person(name)) for name in LISTS]
        assert await api.outcomes(*puts) == ["applied"] * len(LISTS)
        assert await answered(api, list(says)) == says


def test_the_tables_name_each_list_seat_and_cabin_as_the_file_does() -> None:
    assert [words(row[0])[0] for row in table(API, "list")] == LISTS
    assert f"| seat | name | {' | '.join(LETTERS)} | any other |" in API
    for kind in ("seat", "cabin"):
        named = {words(row[0])[0]: row[1] for row in table(API, kind)}
        assert list(named.items()) == list(FILE[f"{kind}s"].items())


@pytest.mark.parametrize("column", range(3))
def test_what_is_told_of_the_law_is_the_same(column: int) -> None:
    same = {"forbidden": "deny", "allowed": "allow", "unknown": "refer"}
    letters = list(LETTERS.values())[column]
    law = {
        (letter, seat): same[cells[column].removesuffix(" (default)")]
        for seats, _, *cells in table(DOMAIN, "code")
        for seat, letter in product(words(seats), letters)
    }
    assert law == {place: says for place, says in by_seat().items() if place[0] in letters}
