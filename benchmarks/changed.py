"""A list file as it is a day later: 0.2 % of its entries edited, dropped or new."""

from __future__ import annotations

import csv
import gzip
import io
import random
from typing import TYPE_CHECKING

from benchmarks.people import Paper, Row, paper_of, rows

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
