"""Whom rows are about: columns of documents and names as tokens, the usual shapes at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from operator import add

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns import cells
from loader.columns.cells import FAULT, SOUND, blame
from loader.columns.columns import (
    Bools,
    Column,
    Numbers,
    Octets,
    Pieces,
    concatenated,
    octets_of,
    rows_of,
)
from loader.columns.digits import NINE, ZERO, are_cards, whole_cards
from loader.columns.memo import BytesMemo, CodeMemo, Memo, one_by_one
from loader.columns.texts import IdNumberFinder, stripped
from loader.rows.contents import NamedColumns
from roster.documents.identity import Document, Normalised, normalise
from roster.documents.issuers import STATE_OF
from roster.documents.placeholders import is_plain_han
from roster.documents.tables import CARD_BYTES, card_table, token_table
from roster.documents.tokeniser import Tokeniser
from roster.errors import InvalidInput
from roster.records.bounds import NAMES_MAX
from roster.records.content import pack_content
from roster.records.entry import Content, NameToken

_COLUMNS = ("document_type", "document_number", "document_issuer", "document_kind")
_TYPES = {name: code for code, name in enumerate(cells.TYPES, 1)}
_RESIDENT, _PERMANENT, _HK_MACAO, _TAIWAN, _PASSPORT, _OTHER = _TYPES.values()
_PLACES, _OLD_DIGITS = 16, 15
_CHINESE_PLACES, _PLACES_ABROAD = 9, range(6, 10)
_X_MAX = 3
"""More of them may blot out what they stand for."""
_BAR = ord("|")
_TOKEN_BITS = 32
_HAN_BYTES = 15
"""Five characters: surnames and given names have no more."""
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FA5
_OF_THREE = 0xE0
"""How UTF-8 begins a character of three bytes."""
_KNOWN_BITS = 18
_MORE = np.uint64(1 << 32)
_FACTORS = np.array((0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F), np.uint64)


def _table(letters: str) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(letters.encode())] = True
    return table


_LETTERS = _table("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CHINESE_LETTERS = _table("ABCDEFGHJKLMNPQRSTUVWXYZ")


class _Usual(msgspec.Struct, frozen=True):
    """Of each number what stands before it, nothing where it is unusual, and its places."""

    prefixes: NDArray[np.object_]
    numbers: Column


class Documents:
    """Makes tokens of the columns of a document."""

    def __init__(self, tokeniser: Tokeniser, latest_birth: str) -> None:
        """`latest_birth` as `normalise` takes it."""
        self._tokeniser = tokeniser
        self._latest_birth = latest_birth
        self._types = CodeMemo(lambda text: _TYPES[cells.type_of(text)])
        self._passports = Memo(_before_passports)

    def tokens(self, named: NamedColumns, faults: Octets) -> tuple[Octets, Bools]:
        """Of each row, and which rows somebody has to be warned of: a check digit is wrong."""
        numbers, warned = named["document_number"], np.zeros(len(faults), np.bool_)
        types = self._types.of(named["document_type"], faults)
        cards = are_cards(numbers, self._latest_birth)
        resident = cards & (types == _RESIDENT) & (numbers.windows(0, 1)[:, 0] != ord("9"))
        if resident.all():
            return self._of_cards(numbers), warned
        table = np.zeros((len(faults), 16), np.uint8)
        if resident.any():
            table[resident] = self._of_cards(numbers.chosen(resident))
        rest = np.flatnonzero(~resident & (types > 0))
        if len(rest):
            rest = rest[~self._old(numbers.chosen(rest), types[rest], rest, table)]
        if len(rest):
            columns = [named[name].chosen(rest) for name in _COLUMNS]
            usual, found_faults = self._usual(columns, types[rest], cards[rest]), faults[rest]
            spelled, warned[rest] = self._spelled(usual, columns, found_faults)
            faults[rest], good = found_faults, found_faults == SOUND
            right = [number.encode() for number in compress(spelled, good)]
            table[rest[good]] = token_table(self._tokeniser, right)
        return table, warned

    def _of_cards(self, cards: Column) -> Octets:
        """The tokens of numbers of 18 characters."""
        return card_table(self._tokeniser, cards.windows(0, CARD_BYTES))

    def _old(self, numbers: Column, types: Octets, rows: Numbers, table: Octets) -> Bools:
        """Which are right numbers of 15 digits; the table has their tokens."""
        digits = numbers.windows(0, _OLD_DIGITS) - np.uint8(ZERO)
        old: Bools = (types == _RESIDENT) & (numbers.sizes == _OLD_DIGITS)
        old &= (digits <= NINE).all(1) & (digits[:, 0] < NINE)
        which = np.flatnonzero(old)
        if len(which):
            cards = whole_cards(numbers.chosen(which))
            right = are_cards(cards, self._latest_birth)
            old[which] = right
            table[rows[old]] = self._of_cards(cards.chosen(right))
        return old

    def _usual(self, columns: Sequence[Column], types: Octets, cards: Bools) -> _Usual:
        numbers, sizes = columns[1], columns[1].sizes
        octets = numbers.words(_PLACES).view(np.uint8)
        digits = octets - np.uint8(ZERO) <= NINE
        count, some = digits.sum(1), (digits & (octets > ZERO)).any(1)
        letters = sizes - count
        cards = cards & (octets[:, 0] == ord("9")) & (types <= _PERMANENT)
        hk_macao = (types == _HK_MACAO) & np.isin(sizes, (9, 11)) & (letters == 1)
        hk_macao &= np.isin(octets[:, 0], (ord("H"), ord("M")))
        taiwan = (types == _TAIWAN) & np.isin(sizes, (8, 10)) & (letters == 0) & some
        passports = (types == _PASSPORT) & (sizes <= _PLACES) & some
        prefixes = np.full(len(sizes), "", object)
        if passports.any():
            issuers, which = columns[2].distinct()
            found = [self._passports[text] or "" for text in issuers.texts()]
            chinese = np.array([_is_chinese(prefix) for prefix in found])[which]
            series = (sizes == _CHINESE_PLACES) & _CHINESE_LETTERS[octets[:, 0]]
            series &= letters - _CHINESE_LETTERS[octets[:, 1]] == 1
            abroad = np.isin(sizes, _PLACES_ABROAD) & (_LETTERS[octets].sum(1) == letters)
            abroad &= (octets == ord("X")).sum(1) <= _X_MAX
            passports &= np.where(chinese, series, abroad)
            prefixes = np.where(passports, np.array(found, object)[which], "")
        for these, prefix in ((cards, "P:"), (hk_macao, "H:"), (taiwan, "T:")):
            prefixes[these] = prefix
        kept = np.where(hk_macao, 9, np.where(taiwan, 8, sizes))
        return _Usual(prefixes, Column(numbers.text, numbers.starts, kept))

    def _spelled(
        self, usual: _Usual, columns: Sequence[Column], faults: Octets
    ) -> tuple[list[str], Bools]:
        """The canonical numbers, and which are not valid."""
        found = list(map(add, usual.prefixes.tolist(), usual.numbers.texts()))
        wrong, slow = np.zeros(len(found), np.bool_), np.flatnonzero(usual.prefixes == "")
        for row, read in one_by_one(slow, columns, self._read, faults):
            found[row], wrong[row] = read.number, not read.valid
        return found, wrong

    def _read(self, type_: str, number: str, issuer: str, kind: str) -> Normalised:
        return cells.document(type_, number, issuer, kind, self._latest_birth)


def _before_passports(issuer: str) -> str:
    """What stands before the numbers of passports; nothing where none are issued."""
    try:
        return normalise(Document("passport", "0", issuer)).number[:-1]
    except InvalidInput:
        return ""


def _is_chinese(prefix: str) -> bool:
    return bool(prefix) and STATE_OF.get(prefix.split(":")[1]) == "CHN"


class HanNames:
    """The tokens of Han names; of those that it has met lately it knows them."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        """It knows none."""
        self._tokeniser = tokeniser
        self._known = np.zeros((1 << _KNOWN_BITS, 3), np.uint64)
        """In a place that a name's two words say: those words, and its hash; `_MORE` on top of it
        where that is not all the name has."""

    def of(self, names: Column) -> tuple[Octets, Bools]:
        """The names' parts of a content, in shape (n, 5), and which of them are right."""
        words = names.words(16)
        han = _are_han(np.ascontiguousarray(words.view(np.uint8).T), names.sizes)
        places = (words @ _FACTORS) >> np.uint64(64 - _KNOWN_BITS)
        known = self._known[places]
        new = np.flatnonzero(han & ((known[:, 0] != words[:, 0]) | (known[:, 1] != words[:, 1])))
        if len(new):
            cells = names.chosen(new).cut()
            hashes = octets_of(self._tokeniser.many("name", cells, b"\0"))
            known[new, :2] = words[new]
            known[new, 2] = hashes.view(np.uint32).reshape(-1)
            known[new, 2] |= np.array([_MORE * (not is_plain_han(c.decode())) for c in cells])
            self._known[places[new]] = known[new]
        parts = np.ones((len(names), 5), np.uint8)
        parts[:, 1:] = known[:, 2].astype(np.uint32).view(np.uint8).reshape(-1, 4)
        parts[:, 1] &= 0x3F
        return parts, han & (known[:, 2] < _MORE)


def _are_han(octets: Octets, sizes: Numbers) -> Bools:
    """Which are one token each, and too short to hold an ID number (roster/documents/names.py)."""
    good: Bools = (sizes > 0) & (sizes <= _HAN_BYTES) & (sizes % 3 == 0)
    for at in range(0, min(_HAN_BYTES, int(sizes.max())), 3):
        lead, second, third = octets[at : at + 3].astype(np.uint16)
        code = (lead & 0xF) << 12 | (second & 0x3F) << 6 | third & 0x3F
        is_han = (lead & 0xF0 == _OF_THREE) & (code >= _FIRST_HAN) & (code <= _LAST_HAN)
        good &= is_han | (sizes <= at)
    return good


class Names:
    """Packs the names of rows."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        """It knows no name yet."""
        self._hashed = lru_cache(maxsize=1 << 16)(tokeniser.names)
        self._han = HanNames(tokeniser)
        self._packed = BytesMemo(lambda text: pack_content(Content("", self._tokens(text)), {})[3:])
        self._others = Memo(self._tokens)

    def of(self, names: Column, faults: Octets) -> Pieces:
        """Their number and the tokens."""
        parts, han = self._han.of(names)
        pieces = rows_of(parts)
        if han.all():
            return pieces
        bars = np.flatnonzero(np.frombuffer(names.text, np.uint8) == _BAR)
        first = np.searchsorted(bars, names.starts)
        count = np.searchsorted(bars, names.starts + names.sizes) - first
        several = np.flatnonzero((count > 0) & (count < NAMES_MAX))
        if len(several):
            numbered = IdNumberFinder(names.text).holding(names.chosen(several))
            blame(faults, several[numbered], FAULT["name", "number_in_text"])
            each = _split(names.chosen(several), bars, first[several], count[several])
            rows = np.repeat(several, count[several] + 1)
            pieces = pieces.replaced(several, self._joined(each, rows, several, faults))
        others = np.flatnonzero(~han & ((count == 0) | (count >= NAMES_MAX)))
        if len(others):
            packed = self._packed.of(names.chosen(others), faults, others)
            pieces = pieces.replaced(others, packed)
        return pieces

    def _joined(self, names: Column, rows: Numbers, several: Numbers, faults: Octets) -> Pieces:
        """The tokens of the names of each row of `several`; `rows` says whose each name is."""
        parts, han = self._han.of(names)
        tokens = np.ascontiguousarray(parts[han, 1:]).view(">u4").reshape(-1).astype(np.int64)
        keys = [rows[han] << _TOKEN_BITS | tokens]
        others = np.flatnonzero(~han)
        if len(others):
            found, which = self._others.found(names.chosen(others), faults, rows[others])
            count = np.array([len(each or ()) for each in found])[which]
            flat = [token for index in which.tolist() for token in found[index] or ()]
            keys.append(np.repeat(rows[others], count) << _TOKEN_BITS | np.array(flat, np.int64))
        distinct = np.unique(np.concatenate(keys))
        of_row = np.searchsorted(several, distinct >> _TOKEN_BITS)
        count = np.bincount(of_row, minlength=len(several))
        octets: Octets = distinct.astype(">u4").view(np.uint8)
        sizes = count * (_TOKEN_BITS // 8)
        counts = rows_of(count.astype(np.uint8)[:, None])
        return concatenated([counts, Pieces(octets, np.cumsum(sizes) - sizes, sizes)])

    def _tokens(self, text: str) -> tuple[NameToken, ...]:
        return tuple(sorted({token for name in cells.names(text) for token in self._hashed(name)}))


def _split(names: Column, bars: Numbers, first: Numbers, count: Numbers) -> Column:
    """The names that stand between bars, of which each cell has `count` from `first` on."""
    before = np.cumsum(count + 1) - count - 1
    starts, ends, last, bar, begun = (
        np.repeat(each, count + 1)
        for each in (names.starts, names.starts + names.sizes, count, first, before)
    )
    place = np.arange(len(begun)) - begun
    bars = np.append(bars, 0)
    starts = np.where(place == 0, starts, bars[bar + place - 1] + 1)
    ends = np.where(place == last, ends, bars[np.minimum(bar + place, len(bars) - 1)])
    return stripped(Column(names.text, starts, ends - starts))
