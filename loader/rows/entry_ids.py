"""Columns of case numbers and entry ids, packed as a content has them."""

from __future__ import annotations

import numpy as np

from loader.columns.columns import SHORT_BYTES, Column, are_same
from loader.columns.numbers import NINE, ZERO, number_of, whole_numbers
from loader.columns.parts import Known
from loader.columns.pieces import Bools, Numbers, Octets, Pieces, octets_of, rows_of
from roster.records.content import (
    CASE,
    CASE_BYTES,
    CASE_TEXT,
    ID_DIGITS,
    ID_FROM_CASE,
    NUMBER,
    pack_case,
)

_SERIAL = slice(6, CASE_BYTES)
_NO_HEAD = bytes(_SERIAL.start)
_END = "号"
_END_BYTES = len(_END.encode())
_SERIAL_DIGITS = 7
_LEAST_SERIAL = np.array((1, *(10**digits for digits in range(_SERIAL_DIGITS)), 1 << 62))
"""Of so many digits, without zeros before it; of none and of too many there is none."""
_LEAST = np.uint64(1) << np.uint64(8) * np.arange(1, 8, dtype=np.uint64)
"""Of two bytes, of three, and so on."""
_PARTY_BYTES = 2  # at least: the slash and a digit


class EntryIds:
    """Packs cases and entry ids, whatever they look like."""

    def __init__(self, *, packs_ids: bool) -> None:
        """`packs_ids` is the tokeniser's."""
        self._packs_ids = packs_ids
        self._heads = Known(_case_head)

    def of(self, ids: Column, cases: Column) -> tuple[Octets, list[Pieces]]:
        """The flags of each row's content, and the parts that its case and its id are."""
        table, usual = self._cases(cases)
        parties = _parties(ids, cases)
        flags = usual * np.uint8(CASE) + (parties > 0) * np.uint8(ID_FROM_CASE)
        if usual.all() and parties.all():
            return flags, [rows_of(np.concatenate([table, parties[:, None]], 1))]
        texts = (cases.sizes > 0) & ~usual
        flags += texts * np.uint8(CASE_TEXT)
        case_parts = [rows_of(table).where(usual), *_texts(cases, texts)]
        id_parts, others = [rows_of(parties[:, None]).where(parties > 0)], parties == 0
        if self._packs_ids:
            numbers, is_number = _numbers(ids)
            id_parts += [pieces.where(others & is_number) for pieces in numbers]
            others &= ~is_number
        return flags, [*case_parts, *id_parts, *_texts(ids, others)]

    def _cases(self, cases: Column) -> tuple[Octets, Bools]:
        """Case numbers in nine bytes, and which of them fit in."""
        serials, digits = _serials(cases)
        usual = digits > 0
        sizes = np.where(usual, cases.sizes - _END_BYTES - digits, 0)
        heads, which = Column(cases.text, cases.starts, sizes).distinct()
        packed = [self._heads[text] for text in heads.texts()]
        usual &= np.array([bool(head) for head in packed])[which]
        table = np.empty((len(cases), CASE_BYTES), np.uint8)
        table[:, : _SERIAL.start] = octets_of([head or _NO_HEAD for head in packed])[which]
        table[:, _SERIAL] = serials.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
        return table, usual


def _numbers(ids: Column) -> tuple[list[Pieces], Bools]:
    """Ids that are numbers as bytes behind their sizes, and which ids are."""
    found, good = whole_numbers(ids, ID_DIGITS)
    values = found.view(np.uint64)  # the longest have 64 bits
    good &= (ids.sizes == 1) | (ids.windows(0, 1)[:, 0] != ZERO)
    sizes = 1 + (values[:, None] >= _LEAST).sum(1)
    octets = values.astype(">u8").view(np.uint8)
    starts = np.arange(8, len(octets) + 8, 8) - sizes
    marks = (NUMBER | sizes).astype(np.uint8)
    return [rows_of(marks[:, None]), Pieces(octets, starts, sizes)], good


def _texts(column: Column, which: Bools) -> list[Pieces]:
    """Some of the texts behind their sizes, nothing of the others."""
    sizes = column.sizes.astype(">u2").view(np.uint8).reshape(-1, 2)
    return [
        rows_of(sizes).where(which),
        Pieces(column.text, column.starts, column.sizes).where(which),
    ]


def _serials(cases: Column) -> tuple[Numbers, Numbers]:
    """The number at the end of each case number, and how many digits it has; 0 if it is unusual."""
    size = _SERIAL_DIGITS + 1 + _END_BYTES
    table = np.ascontiguousarray(cases.windows(cases.sizes - size, size).T)
    digits, end = table[:-_END_BYTES] - ZERO, table[-_END_BYTES:]
    is_digit = digits <= NINE
    for place in range(_SERIAL_DIGITS - 1, -1, -1):
        is_digit[place] &= is_digit[place + 1]
    numbers, count = number_of(digits * is_digit), is_digit.sum(0)
    usual = (end == np.frombuffer(_END.encode(), np.uint8)[:, None]).all(0)
    usual &= numbers >= _LEAST_SERIAL[count]
    usual &= cases.sizes > count + _END_BYTES
    return numbers, count * usual


def _parties(ids: Column, cases: Column) -> Octets:
    """The number behind each entry id's case and slash; 0 if anything else is there."""
    behind = ids.sizes - cases.sizes
    usual = (behind == _PARTY_BYTES) | (behind == _PARTY_BYTES + 1)
    usual &= cases.sizes > 0
    sizes = np.where(usual, cases.sizes, 0)
    slash, first, second = ids.windows(sizes, 3).T
    first, second, two = first - ZERO, second - ZERO, behind > _PARTY_BYTES
    usual &= (slash == ord("/")) & (first > 0) & (first <= NINE) & (~two | (second <= NINE))
    sizes *= usual
    most = min(int(sizes.max()), SHORT_BYTES)
    if most:
        starts = Column(ids.text, ids.starts, sizes), Column(cases.text, cases.starts, sizes)
        usual &= are_same(*(column.words(most) for column in starts))
        for index in np.flatnonzero(usual & (sizes > SHORT_BYTES)).tolist():
            usual[index] = starts[0].at(index) == starts[1].at(index)
    parties: Octets = np.where(two, first * 10 + second, first) * usual
    return parties


def _case_head(start: str) -> bytes:
    """The six bytes of what stands before a case's serial number; none where that is unusual."""
    packed = pack_case(start + "1号") or b""
    return packed[:6] if packed[6:] == b"\0\0\1" else b""
