"""Fields of records by column, and the columns that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from loader.columns import AHEAD_BYTES, SHORT_BYTES, Column, Columns
from loader.dates import spell
from loader.layout import COLUMNS
from loader.numbers import NINE, number_of
from loader.pieces import Bools, Numbers, Octets, sizes_of

Cells = Numbers
"""Where each cell begins, and its size: in shape (2, rows)."""

_TIME, _DATE_BYTES = b"2019-07-15T03:08:21", len("2019-07-15")
_FRACTION_BYTES = len(".0")
_BEIJING = b"+08:00"
_HOURS, _SIXTY = 24, 60
_MONTH_DAYS = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, *[0] * 87))
_NULL_BYTES = len("null")
_spelled = lru_cache(1 << 17)(spell)


class Fields:
    """The fields of some records, whose texts are UTF-8 without NUL."""

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        """`names` are the columns' own."""
        self._text = columns.text
        self._octets = np.frombuffer(columns.text, np.uint8)
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
        """The first of the fields that states a date or time, in the spelling of CONTRACT.md 3."""
        found = self._nothing
        for name in names:
            found = either(found, self.spelled(self.raw(name)))
        return found

    def column(self, cells: Cells) -> Column:
        """The cells as a column."""
        if self._more and int(cells[0].max(initial=0)) >= len(self._text):
            self._text = b"".join((self._text, *self._more, bytes(SHORT_BYTES)))
            self._octets = np.frombuffer(self._text, np.uint8)
            self._more, self._size = [], len(self._text)
        return Column(self._text, *cells)

    def texts(self, cells: Cells, rows: Numbers) -> list[str]:
        """Those of some rows."""
        return self.column(cells[:, rows]).texts() if len(rows) else []

    def mapped(self, cells: Cells, compute: Callable[[str], str]) -> Cells:
        """What is made of each text."""
        some, which = self.column(cells).distinct()
        return self.write([compute(text) for text in some.texts()])[:, which]

    def sorted_out(self, cells: Cells, compute: Callable[[str], int]) -> Numbers:
        """The number that each text comes to."""
        some, which = self.column(cells).distinct()
        return np.array(list(map(compute, some.texts())), np.int64)[which]

    def write(self, texts: Sequence[str]) -> Cells:
        """Cells with these texts."""
        return self._written([text.encode() for text in texts])

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

    def _written(self, parts: Sequence[bytes]) -> Cells:
        sizes = sizes_of(parts)
        starts = self._size + np.cumsum(sizes) - sizes
        self._more.append(b"".join(parts))
        self._size += int(sizes.sum())
        return np.stack([starts, sizes])

    def _bare(self, cells: Cells) -> Cells:
        """Without blanks at the ends; what says `null` says nothing."""
        starts, sizes = cells
        ends = starts + sizes
        first, last = self._octets[starts], self._octets[ends - 1]
        doubtful = _BLANKS[first] | _BLANKS[last] | (sizes == _NULL_BYTES)
        # A blank that is no ASCII ends with the second or the third byte.
        for behind in (2, 3):
            doubtful |= _WIDE_BLANKS[self._octets[ends - behind]]
        rows = np.flatnonzero(doubtful & (sizes > 0))
        texts = [bare(text) for text in self.texts(cells, rows)]
        return self.replaced(cells, rows, texts)

    def spelled(self, cells: Cells) -> Cells:
        """Dates and times in the spelling of CONTRACT.md 3."""
        good, found = np.zeros(len(self), np.bool_), cells.copy()
        rows = np.flatnonzero((cells[1] == len(_TIME)) | (cells[1] == len(_TIME) + _FRACTION_BYTES))
        if len(rows):
            table = self.column(cells[:, rows]).windows(0, len(_TIME) + _FRACTION_BYTES)
            fits, late = _plain_times(table, cells[1, rows])
            good[rows[fits]] = True
            found[1, rows[fits]] = _DATE_BYTES
            found[:, rows[late]] = self._late(table[late])
        slow = np.flatnonzero(~good & (cells[1] > 0))
        return self.replaced(found, slow, list(map(_spelled, self.texts(cells, slow))))

    def _late(self, table: Octets) -> Cells:
        """Times with what CONTRACT.md 3 wants in them."""
        spelled = np.empty((len(table), len(_TIME) + len(_BEIJING)), np.uint8)
        spelled[:, : len(_TIME)] = table[:, : len(_TIME)]
        spelled[:, _DATE_BYTES] = ord("T")
        spelled[:, len(_TIME) :] = np.frombuffer(_BEIJING, np.uint8)
        starts = self._size + np.arange(len(table)) * spelled.shape[1]
        self._more.append(spelled.tobytes())
        self._size += spelled.size
        return np.stack([starts, np.full(len(table), spelled.shape[1])])


def _plain_times(table: Octets, sizes: Numbers) -> tuple[Bools, Bools]:
    """Which are times of day as ISO has them, without a zone; which of these are not midnight."""
    digits = np.ascontiguousarray(table.T) - ord("0")
    marks = {4: "-", 7: "-", 13: ":", 16: ":"}
    places = [at for at in range(len(_TIME)) if at not in marks and at != _DATE_BYTES]
    fits = (digits[places] <= NINE).all(0) & (digits[0] > 0)
    for at, mark in marks.items():
        fits &= table[:, at] == ord(mark)
    fits &= (table[:, _DATE_BYTES] == ord("T")) | (table[:, _DATE_BYTES] == ord(" "))
    fraction = (table[:, len(_TIME)] == ord(".")) & (digits[-1] <= NINE)
    fits &= (sizes == len(_TIME)) | fraction
    month, day, hour, minute, second = (
        number_of(digits[at : at + 2] * fits) for at in (5, 8, 11, 14, 17)
    )
    fits &= (day > 0) & (day <= _MONTH_DAYS[month]) & (hour < _HOURS)
    fits &= (minute < _SIXTY) & (second < _SIXTY)
    return fits, fits & (hour + minute + second > 0)


def either(cells: Cells, others: Cells) -> Cells:
    """The cells, or where they are empty, others."""
    return np.where(cells[1] > 0, cells, others)


def where(rows: Bools, cells: Cells) -> Cells:
    """The cells of these rows; the others' are empty."""
    return np.stack([cells[0], cells[1] * rows])


def bare(text: str) -> str:
    """What the text of a field says."""
    text = text.strip()
    return "" if text.lower() == "null" else text


_WIDE_BLANKS = np.isin(np.arange(256), (0xC2, 0xE1, 0xE2, 0xE3))
"""What begins a blank that is no ASCII, as `str.strip` knows them, and other characters."""
_BLANKS = _WIDE_BLANKS | (np.arange(256) <= ord(" "))
