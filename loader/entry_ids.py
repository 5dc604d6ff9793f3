"""Entry ids that are a case number and the number of a party in it, packed by column."""

from __future__ import annotations

import numpy as np

from loader.columns import SHORT_BYTES, Column, are_same
from loader.numbers import number_of
from loader.parts import Cache
from loader.pieces import Bools, Numbers, Octets, Pieces, octets_of, pieces_of, rows_of
from roster import casenumber
from roster.bounds import ENTRY_ID_MAX
from roster.spelling import trimmed
from roster.texts import holds_id_number

_SERIAL = slice(6, casenumber.SIZE)
_NO_HEAD = bytes(_SERIAL.start)
_END = "号"
_END_BYTES = len(_END.encode())
_ZERO, _NINE = ord("0"), 9
_SERIAL_DIGITS = 7
_LEAST_SERIAL = np.array((1, *(10**digits for digits in range(_SERIAL_DIGITS)), 1 << 62))
"""Of so many digits, without zeros before it; of none and of too many there is none."""
_PARTY_BYTES = 2  # at least: the slash and a digit


class EntryIds:
    """Packs entry ids that are a case number and the number of a party in it, and others."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._heads = Cache(_case_head)

    def of(self, ids: Column, cases: Column, odd: Bools) -> Pieces:
        """The parts that two columns are together; rows with something unusual are odd."""
        serials, digits = _serials(cases)
        parties = _parties(ids, cases)
        usual = (digits > 0) & (parties > 0)
        sizes = np.where(usual, cases.sizes - _END_BYTES - digits, 0)
        heads, which = Column(cases.text, cases.starts, sizes).distinct()
        packed = [self._heads[text] for text in heads.texts()]
        usual &= np.array([bool(head) for head in packed])[which]
        table = np.empty((len(ids), casenumber.SIZE + 1), np.uint8)
        table[:, : _SERIAL.start] = octets_of([head or _NO_HEAD for head in packed])[which]
        table[:, _SERIAL] = serials.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
        table[:, _SERIAL.stop] = parties
        pieces = rows_of(table)
        unusual = np.flatnonzero(~usual)
        if not len(unusual):
            return pieces
        texts = zip(ids.chosen(unusual).texts(), cases.sizes[unusual].tolist(), strict=True)
        others = [b"" if has_case else _bare_id(text) for text, has_case in texts]
        odd[unusual] |= [not other for other in others]
        return pieces.replaced(unusual, pieces_of(others))


def _serials(cases: Column) -> tuple[Numbers, Numbers]:
    """The number at the end of each case number, and how many digits it has; 0 if it is unusual."""
    size = _SERIAL_DIGITS + 1 + _END_BYTES
    table = np.ascontiguousarray(cases.windows(cases.sizes - size, size).T)
    digits, end = table[:-_END_BYTES] - _ZERO, table[-_END_BYTES:]
    is_digit = digits <= _NINE
    for place in range(_SERIAL_DIGITS - 1, -1, -1):
        is_digit[place] &= is_digit[place + 1]
    numbers, count = number_of(digits * is_digit), is_digit.sum(0)
    usual = (end == np.frombuffer(_END.encode(), np.uint8)[:, None]).all(0)
    usual &= numbers >= _LEAST_SERIAL[count]
    return numbers, count * usual


def _parties(ids: Column, cases: Column) -> Octets:
    """The number behind each entry id's case and slash; 0 if anything else is there."""
    behind = ids.sizes - cases.sizes
    usual = (behind == _PARTY_BYTES) | (behind == _PARTY_BYTES + 1)
    usual &= (cases.sizes > 0) & (cases.sizes <= SHORT_BYTES)
    sizes = np.where(usual, cases.sizes, 0)
    slash, first, second = ids.windows(sizes, 3).T
    first, second, two = first - _ZERO, second - _ZERO, behind > _PARTY_BYTES
    usual &= (slash == ord("/")) & (first > 0) & (first <= _NINE) & (~two | (second <= _NINE))
    begins, most = Column(ids.text, ids.starts, sizes), int(sizes.max())
    if most:
        usual &= are_same(begins.words(most), Column(cases.text, cases.starts, sizes).words(most))
    parties: Octets = np.where(two, first * 10 + second, first) * usual
    return parties


def _bare_id(entry_id: str) -> bytes:
    if not 0 < len(entry_id) <= ENTRY_ID_MAX or entry_id != trimmed(entry_id):
        return b""
    if holds_id_number(entry_id):
        return b""
    data = entry_id.encode()
    return len(data).to_bytes(2) + data


def _case_head(start: str) -> bytes:
    """The six bytes of what stands before a case's serial number."""
    packed = casenumber.pack(start + "1号")
    if packed is None or packed[6:] != b"\0\0\1":
        raise ValueError
    return packed[:6]
