"""People of a generated list, and people who are on none; neither exists.

What is read here is read anew, with the csv module and a check digit of our own, so that
the benchmarks that judge the service share no code with it.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
import zlib
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643
_CHECKS = "10X98765432"
_BORN_FROM, _BORN_DAYS = date(1800, 1, 1), 29_220
_SAMPLING = 1 << 32

Row = dict[str, str]


class Paper(NamedTuple):
    """A document as a file or a request has it."""

    type: str
    number: str
    issuer: str = ""
    kind: str = ""

    def json(self) -> dict[str, str]:
        """As a request says it."""
        fields = self._asdict()
        return {name: text for name, text in fields.items() if text}


def lines(path: Path) -> Iterator[list[str]]:
    """The header and then the rows of a list file, plain or gzipped."""
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        with io.TextIOWrapper(file, "utf-8", newline="") as text:
            yield from csv.reader(text)


def rows(path: Path) -> Iterator[Row]:
    """The rows of a list file, each by its columns' names."""
    cells = lines(path)
    header = next(cells)
    for row in cells:
        yield dict(zip(header, row, strict=True))


def paper_of(row: Row) -> Paper:
    """Whose row it is."""
    return Paper(row["document_type"], row["document_number"], row["document_issuer"])


def unlisted(chance: random.Random) -> Paper:
    """A card of somebody born 1800 to 1879; whether it is on a list is for the caller to see."""
    area = f"{chance.choice('123456')}{chance.randrange(1, 6)}01{chance.randrange(1, 30):02}"
    return Paper("resident_id", _card(area, chance))


def unlisted_paper(chance: random.Random) -> Paper:
    """The same of a paper of any type; six in ten are ID cards."""
    return chance.choices(_PAPERS, _SHARES)[0](chance, f"{chance.randrange(10**7):07}")


def _card(area: str, chance: random.Random) -> str:
    born = _BORN_FROM + timedelta(days=chance.randrange(_BORN_DAYS))
    digits = f"{area}{born:%Y%m%d}{chance.randrange(1, 996):03}"
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True))
    return digits + _CHECKS[total % 11]


_PAPERS: tuple[Callable[[random.Random, str], Paper], ...] = (
    lambda chance, _: unlisted(chance),
    lambda chance, number: Paper("passport", f"E{chance.choice('ABCDEFGH')}{number}", "CHN"),
    lambda chance, number: Paper("passport", f"X{number}", chance.choice(("USA", "KOR", "D"))),
    lambda chance, number: Paper("hk_macao_permit", f"{chance.choice('HM')}0{number}"),
    lambda _, number: Paper("taiwan_permit", f"0{number}"),
    lambda chance, _: Paper("permanent_resident_id", _card("911840", chance)),
    lambda _, number: Paper("other", f"S{number}", "CHN", "seaman"),
)
_SHARES = (60, 15, 10, 5, 4, 3, 3)


class Sample(NamedTuple):
    """Some people of a file with all of their rows, and some whom it does not name."""

    listed: dict[Paper, list[Row]]
    unlisted: list[Paper]
    rows: int


def sample(path: Path, listed: float, unlisted_count: int, seed: int = 1) -> Sample:
    """About this share of the file's people, and so many others, in one reading.

    Who is chosen depends on the number alone, so all rows of a person are.
    """
    chance = random.Random(seed)
    others = {unlisted(chance): None for _ in range(unlisted_count + unlisted_count // 50 + 100)}
    found: dict[Paper, list[Row]] = {}
    count = 0
    for row in rows(path):
        count += 1
        paper = paper_of(row)
        others.pop(paper, None)
        if zlib.crc32(paper.number.encode()) < listed * _SAMPLING:
            found.setdefault(paper, []).append(row)
    return Sample(found, list(others)[:unlisted_count], count)


def first_people(path: Path, count: int) -> dict[Paper, str]:
    """The first so many different people of a file, with the first of their names."""
    found: dict[Paper, str] = {}
    for row in rows(path):
        found.setdefault(paper_of(row), row["name"].partition("|")[0])
        if len(found) == count:
            break
    return found
