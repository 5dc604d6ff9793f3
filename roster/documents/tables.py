"""Many numbers at once, as tables of bytes: which are those of ID cards, and their tokens."""

from __future__ import annotations

import calendar
from binascii import a2b_base64
from typing import TYPE_CHECKING, Final

import numpy as np

from roster.documents.check_digits import END_OF_TIME, FIRST_BIRTH, WEIGHTS
from roster.documents.tokeniser import HASHED, LONGEST, fits
from roster.keys import TOKEN_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roster.documents.tokeniser import Tokeniser

    Octets = NDArray[np.uint8]


CARD_BYTES = 18
_NINE = 9
_WEIGHTS = np.array(WEIGHTS, np.int32)
_PLACES = np.array((10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1), np.int32)
_X = ord("X") - ord("0")

TOKEN_BYTES: Final = len(TOKEN_BITS)
_KEPT = np.frombuffer(TOKEN_BITS, np.uint64)
_CARD = slice(len("R:"), len("R:") + CARD_BYTES)
_ROW_BYTES, _DECODED_BYTES = 24, 18
"""A number with blanks behind it, so long that its six bits a character end with a byte's."""
_DIGITS_64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FITTING = bytes(range(ord("!"), ord("_") + 1))
_TO_BASE64 = bytes(32) + _DIGITS_64 + bytes(256 - 32 - len(_DIGITS_64))
"""Uuencoding's characters as those of base64, which decodes texts of any length."""


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


def token_table(tokeniser: Tokeniser, numbers: Sequence[bytes]) -> Octets:
    """The tokens of these document numbers in UTF-8, shape (n, 16)."""
    rows = b"".join([number.ljust(_ROW_BYTES) for number in numbers])
    if tokeniser.scheme != HASHED and _all_fit(rows, numbers):
        return _enciphered(tokeniser, rows)
    short = [tokeniser.scheme != HASHED and fits(number) for number in numbers]
    table = np.empty((len(numbers), TOKEN_BYTES), np.uint8)
    for is_short in set(short):
        which = np.flatnonzero(np.array(short) == is_short)
        some = [numbers[index] for index in which.tolist()]
        table[which] = token_table(tokeniser, some) if is_short else _hashed(tokeniser, some)
    return table


def _all_fit(rows: bytes, numbers: Sequence[bytes]) -> bool:
    """Whether each of the numbers has a block, seen in all at once: see `fits`."""
    sizes = [len(number) for number in numbers]
    blanks = len(rows) - sum(sizes)  # none but behind the numbers
    longest = max(sizes, default=0)
    return longest <= LONGEST and len(rows.translate(None, _FITTING)) == rows.count(b" ") == blanks


def card_table(tokeniser: Tokeniser, cards: Octets) -> Octets:
    """The tokens of ID cards' numbers, shape (n, 16); of their characters, shape (n, 18)."""
    rows = np.full((len(cards), _ROW_BYTES), ord(" "), np.uint8)
    rows[:, 0] = np.where(cards[:, 0] == ord("9"), ord("P"), ord("R"))
    rows[:, 1] = ord(":")
    rows[:, _CARD] = cards
    if tokeniser.scheme != HASHED:
        return _enciphered(tokeniser, rows.tobytes())
    numbers = np.ascontiguousarray(rows[:, : _CARD.stop]).view(f"S{_CARD.stop}")
    return _hashed(tokeniser, numbers.reshape(-1).tolist())


def _enciphered(tokeniser: Tokeniser, rows: bytes) -> Octets:
    decoded = a2b_base64(rows.translate(_TO_BASE64))
    blocks = np.frombuffer(decoded, np.uint8).reshape(-1, _DECODED_BYTES)[:, :TOKEN_BYTES]
    return _cut(tokeniser.encipher(blocks.tobytes()))


def _hashed(tokeniser: Tokeniser, numbers: Sequence[bytes]) -> Octets:
    return _cut(b"".join(tokeniser.many("token", numbers)))


def _cut(digests: bytes) -> Octets:
    table: Octets = (np.frombuffer(digests, np.uint64).reshape(-1, 2) & _KEPT).view(np.uint8)
    return table
