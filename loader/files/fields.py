"""Fields of the courts' records by column, with their dates in the spelling of a list file.

The forms that occur are listed in docs/domain.md, Traps. What names no zone is Beijing time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import (
    AHEAD_BYTES,
    SHORT_BYTES,
    Bools,
    Column,
    Columns,
    Numbers,
    Octets,
    column_of,
    sizes_of,
)
from loader.columns.digits import NINE, ZERO, read_times
from loader.columns.sheets import COLUMNS
from loader.columns.texts import identifying
from roster.times import BEIJING_OFFSET_MS, DAY_MS

BEIJING = timezone(timedelta(hours=8))

_NOTHING = frozenset({"", "0", "-", "--", "无", "暂无", "null", "none", "nan"})
_MONTHS = {name: index for index, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip
_YMD = re.compile(
    r"(\d{4})\s*[-年/.]\s*(\d{1,2})\s*[-月/.]\s*(\d{1,2})\s*日?"
    r"(?:[T\s]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?秒?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?")
# java.util.Date.toString, and JavaScript's.
_ENGLISH = re.compile(
    r"\w{3} (\w{3}) (\d{1,2})(?: (\d{4}))? (\d{2}):(\d{2}):(\d{2}) (\w*(?:[+-]\d{2}:?\d{2})?)"
    r"(?: (\d{4})| ?\(.*)?"
)
_ONES = "一二三四五六七八九"
_UP_TO_39 = f"(?:[{_ONES}]|[{_ONES}]?[十廿卅][{_ONES}]?)"
_CHINESE = re.compile(f"[〇○零Oo0{_ONES}]{{4}}年{_UP_TO_39}月{_UP_TO_39}日")
_DIGITS = str.maketrans(
    {"廿": "2十", "卅": "3十"} | dict(zip("〇○零Oo" + _ONES, "00000123456789", strict=True))
)
# CST is China's standard time here, not Chicago's.
_ZONES = {"CST": BEIJING, "UTC": UTC, "GMT": UTC, "Z": UTC}
_SECONDS_DIGITS, _MS_DIGITS = 10, 13
Places = Numbers
"""Where each cell begins, and its size: in shape (2, rows)."""
_TIME, _DATE_BYTES = b"2019-07-15T03:08:21", len("2019-07-15")
_BEIJING = b"+08:00"
_NULL, _SMALL = np.frombuffer(b"null", np.uint8), np.uint8(ord(" "))
"""What says nothing, and the bit that makes letters small."""


def spell(value: object) -> str:
    """A bare date, a time with its offset, nothing, or (where it is no date) what was there.

    Midnight in Beijing is a bare date: such fields hold days, and a term includes its last.
    """
    if isinstance(value, Mapping):  # a date as Java's JSON-lib writes it
        value = value.get("time")
    text = unicodedata.normalize("NFKC", str(value or "")).strip()
    if text.lower() in _NOTHING or text.startswith("0000"):
        return ""
    try:
        moment = _read(text)
    except (ValueError, OverflowError, KeyError):
        moment = None
    if moment is None:
        return text
    local = moment.astimezone(BEIJING)
    midnight = local == local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date().isoformat() if midnight else local.isoformat()


def _read(text: str) -> datetime | None:
    if text.isdecimal() and len(text) in {_SECONDS_DIGITS, _MS_DIGITS}:
        ms = int(text) * (1000 if len(text) == _SECONDS_DIGITS else 1)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    if _CHINESE.fullmatch(text):
        text = re.sub(r"(\d?)十(\d?)", _number, text.translate(_DIGITS))
    if found := _YMD.fullmatch(text) or _COMPACT.fullmatch(text):
        numbers = [int(number or 0) for number in found.groups()[:6]]
        zone = found[7] if found.re is _YMD else None
        return datetime(*numbers, tzinfo=_zone(zone or "CST"))  # type: ignore[arg-type, misc]
    if not (found := _ENGLISH.fullmatch(text)):
        return None
    month, day, early, hour, minute, second, zone, late = found.groups()
    numbers = [int(early or late or 0), _MONTHS[month], *map(int, (day, hour, minute, second))]
    return datetime(*numbers, tzinfo=_zone(zone))  # type: ignore[arg-type, misc]


def _zone(name: str) -> timezone:
    """Of a name or an offset; raises KeyError for a name that is neither."""
    if name in _ZONES:
        return _ZONES[name]
    offset = re.fullmatch(r"(?:GMT|UTC)?([+-])(\d{2}):?(\d{2})", name)
    if not offset:
        raise KeyError("zone")
    minutes = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(-minutes if offset[1] == "-" else minutes)


def _number(found: re.Match[str]) -> str:
    """Up to 39, of what is before 十 and behind it."""
    return f"{found[1] or 1}{found[2] or 0}"


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

    def raw(self, name: str) -> Places:
        """A field as it is."""
        return self._cells.get(name, self._nothing)

    def text(self, *names: str) -> Places:
        """The first of the fields that says something."""
        found = self._nothing
        for name in names:
            if name in self._cells:
                found = either(found, self._bare(self._cells[name]))
        return found

    def day(self, *names: str) -> Places:
        """The first of the fields that states a date or time, spelled as in a list file."""
        found = self._nothing
        for name in names:
            found = either(found, self._spelled(where(found[1] == 0, self.raw(name))))
        return found

    def column(self, cells: Places) -> Column:
        """The cells as a column."""
        if self._more and int(cells[0].max(initial=0)) >= len(self._text):
            self._text = b"".join((self._text, *self._more, bytes(SHORT_BYTES)))
            self._more, self._size = [], len(self._text)
        return Column(self._text, *cells)

    def texts(self, cells: Places, rows: Numbers) -> list[str]:
        """Those of some rows."""
        return self.column(cells[:, rows]).texts() if len(rows) else []

    def mapped(self, cells: Places, compute: Callable[[str], str]) -> Places:
        """What is made of each text."""
        some, which = self.column(cells).distinct()
        return self.write([compute(text) for text in some.texts()])[:, which]

    def sorted_out(self, cells: Places, compute: Callable[[str], int]) -> NDArray[Any]:
        """The number that each text comes to, or whether it is."""
        some, which = self.column(cells).distinct()
        return np.array(list(map(compute, some.texts())))[which]

    def write(self, texts: Sequence[str]) -> Places:
        """Cells with these texts."""
        parts = [text.encode() for text in texts]
        sizes = sizes_of(parts)
        starts = self._size + np.cumsum(sizes) - sizes
        self._more.append(b"".join(parts))
        self._size += int(sizes.sum())
        return np.stack([starts, sizes])

    def replaced(self, cells: Places, rows: Numbers, texts: Sequence[str]) -> Places:
        """The cells, but these in some rows."""
        if not len(rows):
            return cells
        cells = cells.copy()
        cells[:, rows] = self.write(texts)
        return cells

    def columns(self, named: Mapping[str, Places]) -> Columns:
        """Columns in the order of `COLUMNS`; empty where none is named."""
        cells = np.stack([named.get(name, self._nothing) for name in COLUMNS], 1)
        text = b"".join((self._text, *self._more, bytes(SHORT_BYTES)))
        return Columns(text, np.ascontiguousarray(cells[0]), np.ascontiguousarray(cells[1]))

    def _bare(self, cells: Places) -> Places:
        """Without blanks at the ends; what says `null` says nothing."""
        column = identifying(self.column(cells))
        found = np.stack([column.starts, column.sizes])
        rows = np.flatnonzero(column.sizes == len(_NULL))
        null = (column.chosen(rows).windows(0, len(_NULL)) | _SMALL == _NULL).all(1)
        found[1, rows[null]] = 0
        return found

    def _spelled(self, cells: Places) -> Places:
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


def either(cells: Places, others: Places) -> Places:
    """The cells, or where they are empty, others."""
    return np.where(cells[1] > 0, cells, others)


def where(rows: Bools, cells: Places) -> Places:
    """The cells of these rows; the others' are empty."""
    return np.stack([cells[0], cells[1] * rows])
