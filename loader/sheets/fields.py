"""Fields of records by column, and the columns that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import AHEAD_BYTES, SHORT_BYTES, Column, Columns, column_of
from loader.columns.instants import read_times
from loader.columns.layout import COLUMNS
from loader.columns.numbers import NINE, ZERO
from loader.columns.pieces import Bools, Numbers, Octets, sizes_of
from loader.columns.texts import identifying
from loader.sheets.dates import spell
from roster.times import BEIJING_OFFSET_MS, DAY_MS

Cells = Numbers
"""Where each cell begins, and its size: in shape (2, rows)."""

_TIME, _DATE_BYTES = b"2019-07-15T03:08:21", len("2019-07-15")
_BEIJING = b"+08:00"
_NULL, _SMALL = np.frombuffer(b"null", np.uint8), np.uint8(ord(" "))
"""What says nothing, and the bit that makes letters small."""
_spelled = lru_cache(1 << 17)(spell)


class Fields:
    """The fields of some records, whose texts are UTF-8 without NUL."""

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        """`names` are the columns' own."""
        self._text = columns.text
        self._cells = {
            name: np.stack([columns.starts[at], columns.sizes[at]]) for at, name in enumerate(names)
        }
        self._more: list[bytes] = []
        self._size = len(columns.text)
        self._nothing = np.stack([np.full(len(columns), AHEAD_BYTES), np.zeros(len(columns), int)])

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._nothing[0])

    def raw(self, name: str) -> Cells:
        """A field as it is."""
        return self._cells.get(name, self._nothing)

    def text(self, *names: str) -> Cells:
        """The first of the fields that says something."""
        found = self._nothing
        for name in names:
            if name in self._cells:
                found = either(found, self._bare(self._cells[name]))
        return found

    def day(self, *names: str) -> Cells:
        """The first of the fields that states a date or time, spelled as in a list file."""
        found = self._nothing
        for name in names:
            found = either(found, self._spelled(where(found[1] == 0, self.raw(name))))
        return found

    def column(self, cells: Cells) -> Column:
        """The cells as a column."""
        if self._more and int(cells[0].max(initial=0)) >= len(self._text):
            self._text = b"".join((self._text, *self._more, bytes(SHORT_BYTES)))
            self._more, self._size = [], len(self._text)
        return Column(self._text, *cells)

    def texts(self, cells: Cells, rows: Numbers) -> list[str]:
        """Those of some rows."""
        return self.column(cells[:, rows]).texts() if len(rows) else []

    def mapped(self, cells: Cells, compute: Callable[[str], str]) -> Cells:
        """What is made of each text."""
        some, which = self.column(cells).distinct()
        return self.write([compute(text) for text in some.texts()])[:, which]

    def sorted_out(self, cells: Cells, compute: Callable[[str], int]) -> NDArray[Any]:
        """The number that each text comes to, or whether it is."""
        some, which = self.column(cells).distinct()
        return np.array(list(map(compute, some.texts())))[which]

    def write(self, texts: Sequence[str]) -> Cells:
        """Cells with these texts."""
        parts = [text.encode() for text in texts]
        sizes = sizes_of(parts)
        starts = self._size + np.cumsum(sizes) - sizes
        self._more.append(b"".join(parts))
        self._size += int(sizes.sum())
        return np.stack([starts, sizes])

    def replaced(self, cells: Cells, rows: Numbers, texts: Sequence[str]) -> Cells:
        """The cells, but these in some rows."""
        if not len(rows):
            return cells
        cells = cells.copy()
        cells[:, rows] = self.write(texts)
        return cells

    def columns(self, named: Mapping[str, Cells]) -> Columns:
        """Columns in the order of `COLUMNS`; empty where none is named."""
        cells = np.stack([named.get(name, self._nothing) for name in COLUMNS], 1)
        text = b"".join((self._text, *self._more, bytes(SHORT_BYTES)))
        return Columns(text, np.ascontiguousarray(cells[0]), np.ascontiguousarray(cells[1]))

    def _bare(self, cells: Cells) -> Cells:
        """Without blanks at the ends; what says `null` says nothing."""
        column = identifying(self.column(cells))
        found = np.stack([column.starts, column.sizes])
        rows = np.flatnonzero(column.sizes == len(_NULL))
        null = (column.chosen(rows).windows(0, len(_NULL)) | _SMALL == _NULL).all(1)
        found[1, rows[null]] = 0
        return found

    def _spelled(self, cells: Cells) -> Cells:
        """Dates and times in the spelling of a list file (docs/lists.md, Columns)."""
        found, sizes, slow = cells.copy(), cells[1], cells[1] > 0
        rows = np.flatnonzero((sizes == len(_TIME)) | (sizes == len(_TIME) + len(".0")))
        if len(rows):
            table = self.column(cells[:, rows]).windows(0, len(_TIME) + len(".0"))
            times, sizes, fits = _in_beijing(table, sizes[rows])
            starts = self._size + np.arange(len(rows)) * times.shape[1]
            self._more.append(times.tobytes())
            self._size += times.size
            found[:, rows[fits]] = starts[fits], sizes[fits]
            slow[rows[fits]] = False
        rows = np.flatnonzero(slow)
        return self.replaced(found, rows, list(map(_spelled, self.texts(cells, rows))))


def _in_beijing(table: Octets, sizes: Numbers) -> tuple[Octets, Numbers, Bools]:
    """Times without a zone as they are spelled, their sizes, and which of them are such times.

    A time at midnight is a bare date.
    """
    times = np.empty((len(table), len(_TIME) + len(_BEIJING)), np.uint8)
    times[:] = np.frombuffer(_TIME + _BEIJING, np.uint8)
    times[:, : len(_TIME)] = table[:, : len(_TIME)]
    times[:, _DATE_BYTES] = ord("T")
    ms, fits = read_times(column_of(times))
    mark, point, digit = table[:, _DATE_BYTES], table[:, len(_TIME)], table[:, -1]
    fits &= (mark == ord("T")) | (mark == ord(" "))
    fits &= (sizes == len(_TIME)) | (point == ord(".")) & (digit - ZERO <= NINE)
    return times, np.where((ms + BEIJING_OFFSET_MS) % DAY_MS, times.shape[1], _DATE_BYTES), fits


def either(cells: Cells, others: Cells) -> Cells:
    """The cells, or where they are empty, others."""
    return np.where(cells[1] > 0, cells, others)


def where(rows: Bools, cells: Cells) -> Cells:
    """The cells of these rows; the others' are empty."""
    return np.stack([cells[0], cells[1] * rows])
