"""What is made of texts that recur: once of each, for whole columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from loader.cells import Skipped, Unusable
from loader.columns import Column
from loader.pieces import Bools, Numbers, Octets, Pieces, pieces_of

CACHE_MAX = 200_000


_Of = TypeVar("_Of")


class Known(dict[str, _Of | None]):
    """What a cell's text comes to, computed once, None for what is unusual; bounded."""

    def __init__(self, compute: Callable[[str], _Of]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, text: str) -> _Of | None:
        if len(self) > CACHE_MAX:
            self.clear()
        try:
            value = self._compute(text)
        except (Unusable, Skipped, ValueError, KeyError):
            value = None
        self[text] = value
        return value

    def found(self, column: Column, odd: Bools) -> tuple[list[_Of | None], Numbers]:
        """Of each text of a column, and which each row's is; rows with an unusual one are odd."""
        cells, which = column.distinct()
        found = [self[text] for text in cells.texts()]
        if None in found:
            odd |= np.array([value is None for value in found])[which]
        return found, which


class Cache(Known[bytes]):
    """The parts of a content that texts are."""

    def of(self, column: Column, odd: Bools) -> Pieces:
        """Of a whole column; rows with something unusual are odd."""
        found, which = self.found(column, odd)
        return pieces_of([value or b"" for value in found]).chosen(which)


class Table(Known[int]):
    """The small numbers that texts are."""

    def of(self, column: Column, odd: Bools) -> Octets:
        """Of a whole column; rows with something unusual are odd."""
        found, which = self.found(column, odd)
        return np.array([value or 0 for value in found], np.uint8)[which]
