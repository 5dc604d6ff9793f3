"""Clears the ordinary travellers of a batch together: valid ID cards that no filter knows.

One by one a card costs 4 us, mostly to see whether its number can be one; numpy sees that
of a whole batch at once. Whoever is not cleared here is decided one by one.
"""

from __future__ import annotations

import calendar
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from roster import keys
from roster.check_digits import END_OF_TIME, FIRST_BIRTH, beijing_day
from roster.tokens import CARD_BYTES, card_table, in_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.screener import Screener
    from service.screening import Desk
    from service.shapes import Item

_WEIGHTS = np.array((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), np.int64)  # GB 11643
_PLACES = np.array((10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1), np.int64)
_X = ord("X") - ord("0")
_LEAST = 8
"""Below this numpy costs more than it saves."""


class _Cards(NamedTuple):
    """Which items have a number that may be an ID card's, and the numbers."""

    indexes: list[int]
    numbers: list[str]


class Swept(NamedTuple):
    """The items whose travellers are surely on no list, and the partitions that say so."""

    items: list[int]
    partitions: frozenset[int]


NOBODY = Swept([], frozenset())
EVERY = frozenset(range(keys.PARTITIONS))


def sweep(desk: Desk, items: Sequence[Item], now_ms: int) -> Swept:
    """Whoever is surely on no list; it says nothing about the others."""
    screener = desk.screener
    if len(items) < _LEAST or not screener.ready or not _certain(screener):
        return NOBODY
    cards = _cards(items)
    if not cards.numbers:
        return NOBODY
    characters = characters_of(cards.numbers)
    valid = valid_cards(characters, beijing_day(now_ms))
    right = list(compress(cards.indexes, valid.tolist()))
    if not right:
        return NOBODY
    filters = [partition.filter for partition in screener.partitions]
    table = card_table(desk.tokeniser, characters[valid])
    known = in_filters(table, filters)
    cleared = [index for index, listed in zip(right, known, strict=True) if not listed]
    screener.cleared += len(cleared)
    # While all are fresh it does not matter whose filters these were.
    return Swept(cleared, EVERY if screener.fresh else frozenset(table[:, 1].tolist()))


def _certain(screener: Screener) -> bool:
    """Whether every partition's filter may clear people; `Desk.clear` asks one by one."""
    required = screener.required
    if not screener.fresh and any(screener.is_expired(number) for number in EVERY):
        return False
    return not any(
        partition.rewound or not required.issubset(partition.covered)
        for partition in screener.partitions
    )


def _cards(items: Sequence[Item]) -> _Cards:
    indexes, numbers = [], []
    for index, item in enumerate(items):
        document = item.document
        if (
            document.type == "resident_id"
            and len(document.number) == CARD_BYTES
            and item.journey is None
            and item.at_least is None
            and document.issuer is None
            and document.kind is None
        ):
            indexes.append(index)
            numbers.append(document.number)
    return _Cards(indexes, numbers)


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
    digits = characters.astype(np.int64) - ord("0")
    last = np.where(digits[:, 17] == _X, 10, digits[:, 17])
    shaped = ((digits[:, :17] >= 0) & (digits[:, :17] <= 9)).all(axis=1)  # noqa: PLR2004 -- digits
    final = digits[:, 17]
    shaped &= ((final >= 0) & (final <= 9)) | (final == _X)  # noqa: PLR2004 -- or an X
    right = (digits[:, :17] @ _WEIGHTS + last) % 11 == 1
    born = np.where(shaped, digits[:, 6:14] @ _PLACES, 0)
    valid: NDArray[np.bool_] = shaped & right & _births(born, latest_birth)
    return valid


def _births(born: NDArray[np.int64], latest: str) -> NDArray[np.bool_]:
    """Which of these, `YYYYMMDD` as numbers, are days from 1800 to `latest`."""
    years, days = np.divmod(born, 10_000)
    leap = (years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))
    real: NDArray[np.bool_] = _DAYS[days] | (leap & (days == 229))  # noqa: PLR2004 -- 29 February
    real &= (born >= int(FIRST_BIRTH)) & (born <= int(latest))
    return real


def _days() -> NDArray[np.bool_]:
    """Whether MMDD is a day in a year that is no leap year."""
    table = np.zeros(10_000, np.bool_)
    for month in range(1, 13):
        first = month * 100 + 1
        table[first : first + calendar.monthrange(1999, month)[1]] = True
    return table


_DAYS = _days()


def plain_allow(
    item: Item, decision_id: str, warned: Sequence[str]
) -> msgspec.Raw | dict[str, Any]:
    """The answer about somebody who was cleared, as JSON where nothing else is to be said."""
    if item.name is None and item.reference is None and not warned:
        return msgspec.Raw(f'{{"decision":"allow","decision_id":"{decision_id}"}}'.encode())
    answer: dict[str, Any] = {"decision": "allow"}
    if item.name is not None:
        answer["name_check"] = "not_compared"
    answer["decision_id"] = decision_id
    if item.reference is not None:
        answer["reference"] = item.reference
    if warned:
        answer["warnings"] = warned
    return answer
