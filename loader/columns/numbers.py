"""Columns of numbers, read and judged all at once with numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import Column, column_of
from loader.columns.pieces import Bools, Octets
from roster.documents.check_digits import CHECKS, FIRST_BIRTH, WEIGHTS

CARD_DIGITS = len(WEIGHTS)
_WEIGHTS = np.array(WEIGHTS[:-1], np.uint16)
ZERO, NINE = ord("0"), 9
_X = ord("X") - ZERO
_CHECKS = np.frombuffer(CHECKS.encode(), np.uint8)
_FIRST_CENTENARIAN = 996
_DAYS = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_REVISION_DIGITS = 16


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
