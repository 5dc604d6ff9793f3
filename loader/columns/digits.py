"""Columns of what is written in digits, read all at once: numbers, ID cards' numbers, times."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from loader.columns import cells
from loader.columns.columns import Bools, Column, Numbers, Octets, Pieces, column_of
from loader.columns.memo import Memo
from roster.documents.check_digits import CHECKS, FIRST_BIRTH, WEIGHTS
from roster.times import BEIJING_OFFSET_MS, DAY_MS, parse_time, parse_until

CARD_DIGITS = len(WEIGHTS)
_WEIGHTS = np.array(WEIGHTS[:-1], np.uint16)
ZERO, NINE = ord("0"), 9
_X = ord("X") - ZERO
_CHECKS = np.frombuffer(CHECKS.encode(), np.uint8)
_FIRST_CENTENARIAN = 996
_DAYS = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_REVISION_DIGITS = 16
NEVER = np.iinfo(np.int64).min
"""In the place of a time that a cell does not state."""
_DATE_BYTES, _CLOCK_BYTES = len("2018-03-01"), len("T08:05:00")
_BODY_BYTES = _DATE_BYTES + _CLOCK_BYTES
_OFFSET_BYTES = len("+08:00")
_FRACTION_DIGITS = 9
_FIRST_YEAR, _LAST_YEAR = 2, 9998
"""Of years beside these a part lies where no time may be."""
_EPOCH = date(1970, 1, 1).toordinal()
_YEARS = np.array([date(max(year, 1), 1, 1).toordinal() - _EPOCH for year in range(10_000)])
_LEAP = np.array([calendar.isleap(year) for year in range(10_000)])
_BEFORE = np.array((0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334))
_FEBRUARY = 2
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_TIME_BYTES = 8
_SEVEN_BITS = np.uint64(7) * np.arange(_TIME_BYTES, dtype=np.uint64)[:, None]


def are_cards(numbers: Column, latest_birth: str) -> Bools:
    """Which are right numbers of ID cards; with 9 begin those of permanent residents."""
    table = np.ascontiguousarray(numbers.windows(0, CARD_DIGITS).T) - ZERO
    digits, last = table[:-1], table[-1]
    good = (numbers.sizes == CARD_DIGITS) & (digits <= NINE).all(0)
    good &= (last <= NINE) | (last == _X)
    total = (digits * _WEIGHTS[:, None]).sum(0, np.uint16) + np.where(last == _X, 10, last)
    good &= total % 11 == 1
    cards: Bools = good & births(digits[6:14], latest_birth)
    return cards


def whole_cards(numbers: Column) -> Column:
    """The 18 digits of cards of before 1999, which have 15: a century and a check digit more."""
    table = np.empty((len(numbers), CARD_DIGITS), np.uint8)
    table[:, :6], table[:, 8:17] = np.split(numbers.windows(0, 15) - np.uint8(ZERO), (6,), 1)
    centenarians = (table[:, 14:17] * np.array((100, 10, 1))).sum(1) >= _FIRST_CENTENARIAN
    table[:, 6], table[:, 7] = 1, np.where(centenarians, 8, 9)
    table += np.uint8(ZERO)
    total = ((table[:, :17] - np.uint8(ZERO)) * _WEIGHTS).sum(1, np.uint16)
    table[:, 17] = _CHECKS[total % 11]
    return column_of(table)


def births(digits: Octets, latest: str) -> Bools:
    """Which eight digits, in shape (8, n), are a day from `FIRST_BIRTH` to `latest`."""
    year, month, day = (number_of(digits[part]) for part in (slice(4), slice(4, 6), slice(6, 8)))
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _DAYS[np.where(month > 12, 0, month)] + (leap & (month == 2))  # noqa: PLR2004 -- February
    whole = year * 10_000 + month * 100 + day
    within = (whole >= int(FIRST_BIRTH)) & (whole <= int(latest))
    born: Bools = (day >= 1) & (day <= days) & within
    return born


def number_of(digits: Octets | Sequence[Octets]) -> NDArray[np.int64]:
    """The numbers of these digits, the first ones first, in shape (digits, n)."""
    number = digits[0].astype(np.int64)
    for digit in digits[1:]:
        number *= 10
        number += digit
    return number


def whole_numbers(column: Column, most: int) -> tuple[NDArray[np.int64], Bools]:
    """The numbers that cells are, and which are one, of at most so many ASCII digits."""
    sizes = column.sizes
    good = (sizes > 0) & (sizes <= most)
    most = min(int(sizes.max()), most)
    if not most:
        return np.zeros(len(column), np.int64), good
    digits = np.ascontiguousarray(column.windows(sizes - most, most).T) - np.uint8(ZERO)
    digits *= np.arange(most, 0, -1)[:, None] <= sizes  # what is before the cell is 0
    good &= (digits <= NINE).all(0)
    return number_of(digits), good


def instants(column: Column, faults: Octets, field: str, otherwise: str = "bad_date") -> Numbers:
    """The time that each cell states, or `NEVER`; what is no time is blamed on the field."""
    found, until = np.full(len(column), NEVER), field == "until"
    stated = np.flatnonzero(column.sizes)
    if not len(stated):
        return found
    found[stated], good = read_times(column.chosen(stated), until=until)
    if good.all():
        return found
    parse, unclear = parse_until if until else parse_time, stated[~good]
    known = Memo(lambda text: cells.moment(parse, field, text, otherwise))
    slow, which = known.found(column.chosen(unclear), faults, unclear)
    found[unclear] = np.array([NEVER if ms is None else ms for ms in slow])[which]
    return found


def read_times(column: Column, *, until: bool = False) -> tuple[Numbers, Bools]:
    """The times of these cells, and which are right beyond doubt."""
    days = column.sizes == _DATE_BYTES
    found, good = _days(column)
    found -= BEIJING_OFFSET_MS - (DAY_MS if until else 0)
    if not days.all():
        with_clock = np.flatnonzero(~days)
        good_day, chosen = good[with_clock], column.chosen(with_clock)
        clock, good_clock = _clocks(chosen)
        found[with_clock] += clock + (BEIJING_OFFSET_MS - (DAY_MS if until else 0))
        good[with_clock] = good_day & good_clock
    return found, good


def _days(column: Column) -> tuple[Numbers, Bools]:
    """The days that cells begin with, in ms, and which are days."""
    table = np.ascontiguousarray(column.windows(0, _DATE_BYTES).T)
    good = (column.sizes >= _DATE_BYTES) & (table[4] == ord("-")) & (table[7] == ord("-"))
    digits = table[[0, 1, 2, 3, 5, 6, 8, 9]] - np.uint8(ZERO)
    good &= (digits <= NINE).all(0)
    digits *= good
    year, month, day = (number_of(digits[part]) for part in (slice(4), slice(4, 6), slice(6, 8)))
    good &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month <= 12)  # noqa: PLR2004 -- months
    month *= good
    leap = _LEAP[year]
    good &= (day > 0) & (day <= _DAYS[month] + (leap & (month == _FEBRUARY)))
    found: Numbers = _YEARS[year] + _BEFORE[month] + (leap & (month > _FEBRUARY)) + day - 1
    return found * DAY_MS, good


def _clocks(column: Column) -> tuple[Numbers, Bools]:
    """What stands behind each cell's day, in ms of UTC, and which of them are right."""
    table = np.ascontiguousarray(column.windows(_DATE_BYTES, _CLOCK_BYTES).T)
    good = np.isin(table[0], (ord("T"), ord("t"), ord(" ")))
    found, right = _hours(table[1:6])
    good &= right & (table[6] == ord(":"))
    second, right = _two_digits(table[7:9])
    good &= right & (second < 60)  # noqa: PLR2004 -- leap seconds are seldom
    found += second * 1000
    ends = column.windows(column.sizes - _OFFSET_BYTES, _OFFSET_BYTES).T
    utc = (ends[-1] | 0x20) == ord("z")
    east, west = (ends[0] == ord(sign) for sign in "+-")
    offset, right = _hours(ends[1:])
    good &= utc | ((east | west) & right)
    found -= np.where(utc, 0, np.where(west, -offset, offset))
    more = column.sizes - np.where(utc, 1, _OFFSET_BYTES) - _BODY_BYTES
    good &= more >= 0
    fractions = np.flatnonzero(more)
    if len(fractions):
        ms, right = _fractions(column.chosen(fractions), more[fractions])
        found[fractions] += ms
        good[fractions] &= right
    return found, good


def _hours(table: Octets) -> tuple[Numbers, Bools]:
    """`HH:MM` in ms, and which are such times."""
    hour, good = _two_digits(table[:2])
    minute, right = _two_digits(table[3:5])
    good &= right & (hour < 24) & (minute < 60) & (table[2] == ord(":"))  # noqa: PLR2004 -- a day's
    return hour * _HOUR_MS + minute * _MINUTE_MS, good


def _two_digits(table: Octets) -> tuple[Numbers, Bools]:
    digits = table - np.uint8(ZERO)
    return number_of(digits), (digits[0] <= NINE) & (digits[1] <= NINE)


def _fractions(column: Column, sizes: Numbers) -> tuple[Numbers, Bools]:
    """Of a second, a point and so many digits less one behind the clock; in ms."""
    table = np.ascontiguousarray(column.windows(_BODY_BYTES, _FRACTION_DIGITS + 1).T)
    digits = table[1:] - np.uint8(ZERO)
    digits *= np.arange(1, _FRACTION_DIGITS + 1)[:, None] < sizes  # what is behind them is 0
    good = (table[0] == ord(".")) & (digits <= NINE).all(0)
    good &= (sizes > 1) & (sizes <= _FRACTION_DIGITS + 1)
    return number_of(digits[:3]), good


def packed_times(ms: Numbers) -> Pieces:
    """The times as a content has them (`record._time`); nothing for `NEVER`."""
    minutes, rest = np.divmod(ms, _MINUTE_MS)
    value = np.where(rest, ms << 1 | 1, minutes << 1)
    zigzag = (value << 1 ^ value >> 63).astype(np.uint64)
    zigzag[ms == NEVER] = 0
    parts = zigzag >> _SEVEN_BITS
    sizes = np.maximum((parts > 0).sum(0), 1)
    octets = (parts & np.uint64(0x7F)).astype(np.uint8)
    octets |= (np.arange(1, _TIME_BYTES + 1)[:, None] < sizes).astype(np.uint8) << 7
    sizes[ms == NEVER] = 0
    starts = np.arange(len(ms)) * _TIME_BYTES
    return Pieces(np.ascontiguousarray(octets.T).reshape(-1), starts, sizes)
