"""A list file as it is a day later: 0.2 % of its entries edited, dropped or new."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from typing import TYPE_CHECKING

from benchmarks.questions.people import Paper, Row, paper_of, rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

SHARE = 0.002
_MAY_RUN_LONG = ("sx", "xgl")
_UNTIL = "2199-12-31"


class Tomorrow:
    """Another day's rows: of those that change half are edited, a quarter dropped, a quarter new.

    `people` are all who changed, so that what a load writes can be counted.
    """

    def __init__(self, spared: Collection[Paper], seed: int = 1) -> None:
        """Nothing of the `spared` changes."""
        self.people: set[Paper] = set()
        self._spared = frozenset(spared)
        self._chance = random.Random(seed)

    def rows(self, path: Path) -> Iterator[Row]:
        """The rows of a generated file, a day later."""
        for number, row in enumerate(rows(path)):
            drawn = self._chance.random()
            if drawn >= SHARE or paper_of(row) in self._spared:
                yield row
            else:
                yield from self._changed(row, number, drawn / SHARE)

    def _changed(self, row: Row, number: int, drawn: float) -> Iterator[Row]:
        if drawn < 0.5 and row["list"] not in _MAY_RUN_LONG:
            yield row
            return
        self.people.add(paper_of(row))
        if drawn < 0.5:
            yield row | {"revision": str(int(row["revision"]) + 1), "until": _UNTIL}
        elif drawn < 0.75:
            yield row
            yield row | {"entry_id": f"new-{number}"}

    def write(self, path: Path, out: Path) -> None:
        """Nothing; the other day's file is written, gzipped."""
        with (
            gzip.open(out, "wb", compresslevel=1) as raw,
            io.TextIOWrapper(raw, "utf-8", newline="") as text,
        ):
            found = self.rows(path)
            first = next(found)
            writer = csv.DictWriter(text, list(first))
            writer.writeheader()
            writer.writerow(first)
            writer.writerows(found)


def write_other_day(path: Path, out: Path, seed: int) -> None:
    """Nothing; a list of any shape is written as it is another day, CSV or JSON Lines as it was.

    Of the rows that change half are dropped, and half are new entries of the same people.
    """
    chance = random.Random(seed)
    with path.open("rb") as lines, out.open("wb") as file:
        header = b"" if path.suffix == ".jsonl" else next(lines)
        file.write(header)
        for number, line in enumerate(lines):
            drawn = chance.random() / SHARE
            if drawn >= 0.5:
                file.write(line)
            if 0.5 <= drawn < 1:
                file.write(_with_id(line, header, 10**12 + number))


def _with_id(line: bytes, header: bytes, number: int) -> bytes:
    """The same row as another entry's."""
    if not header:
        record = json.loads(line)
        record["entry_id" if "entry_id" in record else "id"] = number
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    (names, cells) = csv.reader([header.decode(), line.decode()])
    cells[names.index("entry_id")] = str(number)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
