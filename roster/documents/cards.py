"""Which of many numbers are those of ID cards as `normalise` takes them, seen by numpy at once."""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING

import numpy as np

from roster.documents.check_digits import END_OF_TIME, FIRST_BIRTH, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CARD_BYTES = 18
_NINE = 9
_WEIGHTS = np.array(WEIGHTS, np.int32)
_PLACES = np.array((10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1), np.int32)
_X = ord("X") - ord("0")


def characters_of(numbers: Sequence[str]) -> NDArray[np.uint8]:
    """The numbers' characters, in shape (n, 18); no digits of one that is not plain ASCII."""
    text = "".join(numbers)
    if not text.isascii():
        text = "".join(number if number.isascii() else "?" * CARD_BYTES for number in numbers)
    return np.frombuffer(text.encode(), np.uint8).reshape(-1, CARD_BYTES)


def valid_cards(
    characters: NDArray[np.uint8], latest_birth: str = END_OF_TIME
) -> NDArray[np.bool_]:
    """Which of these numbers of 18 characters `normalise` takes as they are, and calls valid."""
    digits = characters - np.uint8(ord("0"))
    final = digits[:, 17]
    final[final == _X] = _NINE + 1
    shaped = (digits[:, :17] <= _NINE).all(1) & (
        (final < _NINE + 1) | (characters[:, 17] == ord("X"))
    )
    wide = digits.astype(np.int32)
    valid: NDArray[np.bool_] = shaped & ((wide @ _WEIGHTS) % 11 == 1)
    return valid & _births(np.where(shaped, wide[:, 6:14] @ _PLACES, 0), latest_birth)


def _births(born: NDArray[np.int32], latest: str) -> NDArray[np.bool_]:
    """Which of these, `YYYYMMDD` as numbers, are days from 1800 to `latest`."""
    days = born % 10_000
    real = _DAYS[days] & (born >= int(FIRST_BIRTH)) & (born <= int(latest))
    leaping = np.flatnonzero(days == 229)  # noqa: PLR2004 -- 29 February
    if len(leaping):
        real[leaping] &= [calendar.isleap(each // 10_000) for each in born[leaping].tolist()]
    return real


def _days() -> NDArray[np.bool_]:
    """Whether MMDD is a day in some year."""
    table = np.zeros(10_000, np.bool_)
    for month in range(1, 13):
        first = month * 100 + 1
        table[first : first + calendar.monthrange(2000, month)[1]] = True
    return table


_DAYS = _days()
