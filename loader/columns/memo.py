"""What is made of texts that recur: once of each, for whole columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from loader.columns.cells import SOUND, Unusable, blame, fault_of
from loader.columns.columns import Column, Numbers, Octets, Pieces, pieces_of

CACHE_MAX = 200_000


_Of = TypeVar("_Of")


class Memo(dict[str, _Of | None]):
    """What a cell's text comes to, computed once, None for what cannot be used; bounded."""

    def __init__(self, compute: Callable[[str], _Of]) -> None:
        super().__init__()
        self._compute = compute
        self._faults: dict[str, int] = {}

    def __missing__(self, text: str) -> _Of | None:
        try:
            value = self._compute(text)
        except Unusable as bad:
            value, self._faults[text] = None, fault_of(bad)
        self[text] = value
        return value

    def found(
        self, column: Column, faults: Octets, rows: Numbers | None = None
    ) -> tuple[list[_Of | None], Numbers]:
        """Of each text of a column, and which each row's is; the rows that it is of are blamed."""
        if len(self) > CACHE_MAX:
            self.clear()
            self._faults.clear()
        cells, which = column.distinct()
        texts = cells.texts()
        found = [self[text] for text in texts]
        if None in found:
            wrong = np.array([self._faults.get(text, SOUND) for text in texts], np.uint8)
            blame(faults, rows, wrong[which])
        return found, which


class BytesMemo(Memo[bytes]):
    """The parts of a content that texts are."""

    def of(self, column: Column, faults: Octets, rows: Numbers | None = None) -> Pieces:
        """Of a whole column; nothing of what cannot be used."""
        found, which = self.found(column, faults, rows)
        return pieces_of([value or b"" for value in found]).chosen(which)


class CodeMemo(Memo[int]):
    """The small numbers that texts are."""

    def of(self, column: Column, faults: Octets) -> Octets:
        """Of a whole column; 0 for what cannot be used."""
        found, which = self.found(column, faults)
        return np.array([value or 0 for value in found], np.uint8)[which]


def one_by_one(
    rows: Numbers, columns: Sequence[Column], compute: Callable[..., _Of], faults: Octets
) -> Iterator[tuple[int, _Of]]:
    """Some rows, and what the cells of each come to; those that cannot be used are blamed."""
    if not len(rows):
        return
    cells = zip(*(column.chosen(rows).texts() for column in columns), strict=True)
    for row, texts in zip(rows.tolist(), cells, strict=True):
        try:
            yield row, compute(*texts)
        except Unusable as bad:
            faults[row] = min(faults[row], fault_of(bad))
