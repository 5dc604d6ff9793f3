"""What a row says of its entry, packed by column: case and id, lifts, who decided when and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from loader.columns import cells
from loader.columns.columns import (
    SHORT_BYTES,
    Bools,
    Column,
    Numbers,
    Octets,
    Pieces,
    are_same,
    concatenated,
    octets_of,
    pieces_of,
    repeated,
    rows_of,
)
from loader.columns.digits import NEVER, NINE, ZERO, instants, number_of, whole_numbers
from loader.columns.memo import BytesMemo, Memo
from loader.rows.packed_rows import REMOVED, SUSPENDED, Context
from roster.records.content import (
    CASE,
    CASE_BYTES,
    CASE_TEXT,
    ID_DIGITS,
    ID_FROM_CASE,
    NUMBER,
    pack_case,
)
from roster.records.entry import RESTRICTING_BELOW, Provenance
from roster.records.record import pack_provenance

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
LIFT = ("modes", "lifts", "cases", "kind")
_U64, _U64_FROM = 0xCF, 1 << 32
_encode = msgspec.msgpack.Encoder().encode
_NO_WORD, _NIL = _encode(""), _encode(None)
_FIVE, _NO_TOKENS = b"\x95", _encode(())
"""How msgpack begins an array of five, and the last of them."""
_NOTHING = (_encode(()), _encode(()), _encode(()), _NO_WORD)
"""Of each column of `LIFT`."""
NamedColumns = dict[str, Column]


class EntryIds:
    """Packs cases and entry ids, whatever they look like."""

    def __init__(self, *, packs_ids: bool) -> None:
        """`packs_ids` is the tokeniser's."""
        self._packs_ids = packs_ids
        self._heads = Memo(_case_head)

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


class Extras:
    """Packs the columns of `LIFT`, `reason` and `decided_at`."""

    def __init__(self, context: Context) -> None:
        """Only lists that restrict can be lifted."""
        self._liftable = {n for n, code in context.codes.items() if code < RESTRICTING_BELOW}
        parsers = (cells.modes, self._lifts, cells.cases, cells.kind)
        self._lift = [BytesMemo(partial(_packed, parse)) for parse in parsers]
        self._reasons = {
            bit: BytesMemo(partial(_packed, partial(cells.reason, state)))
            for bit, state in ((SUSPENDED, "suspended"), (REMOVED, "removed"))
        }
        nothing = pack_provenance(Provenance("load", "", "", None), context.load)
        self._head = nothing.removesuffix(_NO_WORD + _NIL + _NIL)

    def lift(self, named: NamedColumns, faults: Octets) -> Pieces:
        """The end of each row's content, nothing where it says nothing of a lift."""
        columns = [named[name] for name in LIFT]
        if not any(column.sizes.any() for column in columns):
            return repeated(b"", len(faults))
        found = [
            cache.of(column, faults) for cache, column in zip(self._lift, columns, strict=True)
        ]
        size = len(b"".join(_NOTHING))
        stated = np.add.reduce([pieces.sizes for pieces in found]) > size
        parts = [repeated(_FIVE, len(faults)), *found, repeated(_NO_TOKENS, len(faults))]
        return concatenated([part.where(stated) for part in parts])

    def provenances(self, named: NamedColumns, presents: Octets, faults: Octets) -> Pieces:
        """The provenance of each row, nothing of plain ones."""
        decided, reasons = instants(named["decided_at"], faults, "decided_at"), named["reason"]
        count = len(faults)
        words = repeated(_NO_WORD, count)
        for bit, cache in self._reasons.items():
            which = np.flatnonzero((presents & bit > 0) & (reasons.sizes > 0))
            if len(which):
                words = words.replaced(which, cache.of(reasons.chosen(which), faults, which))
        stated = (decided != NEVER) | (words.sizes > len(_NO_WORD))
        if not stated.any():
            return repeated(b"", len(faults))
        parts = [
            repeated(self._head, len(faults)),
            words,
            _times(decided),
            repeated(_NIL, len(faults)),
        ]
        return concatenated([part.where(stated) for part in parts])

    def _lifts(self, text: str) -> tuple[str, ...]:
        lists = cells.lifts(text)
        if not self._liftable.issuperset(lists):
            cells.refuse("lifts", "malformed")
        return lists


def _packed(parse: Callable[[str], object], text: str) -> bytes:
    return _encode(parse(text))


def _times(decided: np.ndarray) -> Pieces:
    """The times as msgpack has them."""
    table = np.full((len(decided), 9), _U64, np.uint8)
    table[:, 1:] = decided.astype(">i8").view(np.uint8).reshape(-1, 8)
    others = np.flatnonzero(decided < _U64_FROM)
    if not len(others):
        return rows_of(table)
    packed = [_NIL if ms == NEVER else _encode(ms) for ms in decided[others].tolist()]
    return rows_of(table).replaced(others, pieces_of(packed))
