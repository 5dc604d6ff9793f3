"""Many tokens at once, as a table of bytes, and where they stand in the filters."""

from __future__ import annotations

from binascii import a2b_base64
from typing import TYPE_CHECKING, Final

import numpy as np

from roster.documents.cards import CARD_BYTES
from roster.documents.tokeniser import HASHED, LONGEST, fits
from roster.filters.filter import halves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roster.documents.tokeniser import Tokeniser
    from roster.filters.filter import TokenFilter

    Octets = NDArray[np.uint8]

TOKEN_BYTES: Final = 16
_FEW = 32
"""So many are asked sooner one by one."""
_KEPT = np.frombuffer(b"\x00\x3f\x03" + b"\xff" * 13, np.uint64)
"""The bits of a digest that a token has: 6 for the partition, 10 for the bucket, the rest."""
_CARD = slice(len("R:"), len("R:") + CARD_BYTES)
_ROW_BYTES, _DECODED_BYTES = 24, 18
"""A number with blanks behind it, so long that its six bits a character end with a byte's."""
_DIGITS_64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FITTING = bytes(range(ord("!"), ord("_") + 1))
_TO_BASE64 = bytes(32) + _DIGITS_64 + bytes(256 - 32 - len(_DIGITS_64))
"""Uuencoding's characters as those of base64, which decodes texts of any length."""


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


def in_filters(table: Octets, filters: Sequence[TokenFilter]) -> list[bool]:
    """Whether each token may have been added to its partition's filter; shape (n, 16)."""
    found, octets = [False] * len(table), table.tobytes()
    for row in _sifted(table, filters) if len(table) > _FEW else range(len(table)):
        token = octets[row * TOKEN_BYTES : (row + 1) * TOKEN_BYTES]
        found[row] = token in filters[token[1]]
    return found


def _sifted(table: Octets, filters: Sequence[TokenFilter]) -> list[int]:
    """The few rows that are left of many by their first bits: each ends half of the others."""
    bits_of = [each.bitarray for each in filters]
    partitions = table[:, 1]
    size = np.array([each.bits_per_slice for each in filters], np.uint64)[partitions]
    place, step = halves(table[:, 4:])
    rows, offset = np.arange(len(table)), np.zeros(len(table), np.uint64)
    for _ in range(filters[0].num_slices):
        if len(rows) <= _FEW:
            break
        pairs = zip(partitions[rows].tolist(), (place % size + offset).tolist(), strict=True)
        hit = np.array([bits_of[partition][at] for partition, at in pairs], np.bool_)
        rows, size, step = rows[hit], size[hit], step[hit]
        place, offset = place[hit] + step, offset[hit] + size
    return rows.tolist()
