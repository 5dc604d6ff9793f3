"""What is made of texts that recur: once of each, for whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from loader.cells import Unusable
from loader.columns import Column
from loader.pieces import Bools, Octets, Pieces, pieces_of

CACHE_MAX = 200_000


class Cache(dict[str, bytes]):
    """The part of a content that a cell's text is, computed once; bounded.

    What is unusual is nothing here, and remembered.
    """

    def __init__(self, compute: Callable[[str], bytes]) -> None:
        super().__init__()
        self._compute = compute
        self._unusual: set[str] = set()

    def __missing__(self, text: str) -> bytes:
        if len(self) > CACHE_MAX:
            self.clear()
            self._unusual.clear()
        try:
            value = self._compute(text)
        except (Unusable, ValueError, KeyError):
            value = b""
            self._unusual.add(text)
        self[text] = value
        return value

    def of(self, column: Column, odd: Bools) -> Pieces:
        """Of a whole column; rows with something unusual are odd."""
        cells, which = column.distinct()
        texts = cells.texts()
        pieces = pieces_of([self[text] for text in texts])
        if self._unusual:
            odd |= np.array([text in self._unusual for text in texts])[which]
        return pieces.chosen(which)


def looked_up(column: Column, table: Mapping[str, int | None], odd: Bools) -> Octets:
    """What a table says of each cell; rows of which it says nothing are odd."""
    cells, which = column.distinct()
    found = [table.get(text) for text in cells.texts()]
    if None in found:
        odd |= np.array([value is None for value in found])[which]
    return np.array([value or 0 for value in found], np.uint8)[which]
