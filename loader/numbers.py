"""Columns of ID card numbers and revisions, judged all at once with numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loader.table import Bools, Octets, sizes_of
from roster.check_digits import FIRST_BIRTH
from roster.identity import Tokeniser

_LENGTH = 18
_WEIGHTS = np.array((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), np.int32)
"""Of GB 11643: powers of 2 modulo 11."""
_X = ord("X") - ord("0")
_DAYS = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_PERMANENT = 9  # what begins with it is a permanent residence card
_NOBODY = "0" * _LENGTH
_REVISION_DIGITS = 16


def card_numbers(numbers: Sequence[str], latest_birth: str) -> tuple[list[str], Bools]:
    """The numbers, with zeros for those that are no card's beyond doubt, and which those are."""
    if set(map(len, numbers)) != {_LENGTH} or not "".join(numbers).isascii():
        numbers = [n if len(n) == _LENGTH and n.isascii() else _NOBODY for n in numbers]
    table = np.frombuffer("".join(numbers).encode(), np.uint8).reshape(-1, _LENGTH) - ord("0")
    last = np.where(table[:, 17] == _X, 10, table[:, 17])
    good = (table[:, :17] <= 9).all(1) & (last <= 10) & (table[:, 17] != 10)  # noqa: PLR2004 -- digits
    total = table[:, :17].astype(np.int32) @ _WEIGHTS + last
    good &= (total % 11 == 1) & (table[:, 0] != _PERMANENT) & _births(table, latest_birth)
    if not good.all():
        numbers = [n if g else _NOBODY for n, g in zip(numbers, good.tolist(), strict=True)]
    return list(numbers), ~good


def _births(table: NDArray[np.uint8], latest: str) -> Bools:
    year = table[:, 6:10].astype(np.int32) @ np.array((1000, 100, 10, 1), np.int32)
    month = table[:, 10].astype(np.int32) * 10 + table[:, 11]
    day = table[:, 12].astype(np.int32) * 10 + table[:, 13]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _DAYS[np.where(month > 12, 0, month)] + (leap & (month == 2))  # noqa: PLR2004 -- February
    whole = year * 10_000 + month * 100 + day
    within = (whole >= int(FIRST_BIRTH)) & (whole <= int(latest))
    born: Bools = (day >= 1) & (day <= days) & within
    return born


def tokens(numbers: Sequence[str], tokeniser: Tokeniser) -> Octets:
    """The tokens of these documents, in shape (n, 16)."""
    texts = (number.encode(errors="surrogatepass") for number in numbers)
    table = octets_of(tokeniser.many("token", texts))
    table[:, 0] = 0
    table[:, 1] &= 63
    table[:, 2] &= 3
    return table


def han_names(names: Sequence[str], tokeniser: Tokeniser) -> list[bytes]:
    """The parts of contents that these names are: one token each, of form 0."""
    if not names:
        return []
    table = octets_of(tokeniser.many("name", [b"\0" + name.encode() for name in names]))
    parts = np.concatenate([np.ones((len(names), 1), np.uint8), table], axis=1)
    parts[:, 1] &= 0x3F
    return cut(parts)


def revisions(texts: Sequence[str], as_of: int, latest_ms: int) -> tuple[Octets, Bools, Bools]:
    """Six bytes each (`as_of` where there is none), which state none, and which are doubtful."""
    joined = "".join(texts)
    if not (joined.isascii() and (joined.isdecimal() or not joined)):
        texts = [t if t.isascii() and (t.isdecimal() or not t) else "-1" for t in texts]
    if max(map(len, texts)) > _REVISION_DIGITS:
        texts = [t if len(t) <= _REVISION_DIGITS else "-1" for t in texts]
    none = sizes_of(texts) == 0
    if none.any():
        texts = [text or str(as_of) for text in texts]
    values = np.fromiter(map(int, texts), np.int64, len(texts))
    doubtful = ~none & ((values <= 0) | (values > latest_ms))
    return values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:], none, doubtful


def octets_of(parts: Sequence[bytes]) -> Octets:
    """Some bytes of one length as a table, in shape (n, length)."""
    return np.frombuffer(bytearray().join(parts), np.uint8).reshape(len(parts), -1)


def cut(table: Octets) -> list[bytes]:
    """The table's rows."""
    joined, size = table.tobytes(), table.shape[1]
    return [joined[at : at + size] for at in range(0, len(joined), size)]
