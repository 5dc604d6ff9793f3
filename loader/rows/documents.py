"""Columns of documents as tokens: the usual shapes at once, each other number by its law."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import add

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns import cells
from loader.columns.columns import Column
from loader.columns.faults import SOUND
from loader.columns.numbers import NINE, ZERO, are_cards, whole_cards
from loader.columns.parts import Known, Table, one_by_one
from loader.columns.pieces import Bools, Numbers, Octets
from loader.rows.extras import Named
from loader.rows.hashing import card_tokens, tokens
from roster.documents.identity import Document, Normalised, normalise
from roster.documents.issuers import STATE_OF
from roster.documents.tokeniser import Tokeniser
from roster.errors import InvalidInput

_COLUMNS = ("document_type", "document_number", "document_issuer", "document_kind")
_TYPES = {name: code for code, name in enumerate(cells.TYPES, 1)}
_RESIDENT, _PERMANENT, _HK_MACAO, _TAIWAN, _PASSPORT, _OTHER = _TYPES.values()
_PLACES, _OLD_DIGITS = 16, 15
_CHINESE_PLACES, _PLACES_ABROAD = 9, range(6, 10)
_X_MAX = 3
"""More of them may blot out what they stand for."""


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
        self._types = Table(lambda text: _TYPES[cells.type_of(text)])
        self._passports = Known(_before_passports)

    def tokens(self, named: Named, faults: Octets) -> tuple[Octets, Bools]:
        """Of each row, and which rows somebody has to be warned of: a check digit is wrong."""
        numbers, warned = named["document_number"], np.zeros(len(faults), np.bool_)
        types = self._types.of(named["document_type"], faults)
        cards = are_cards(numbers, self._latest_birth)
        resident = cards & (types == _RESIDENT) & (numbers.windows(0, 1)[:, 0] != ord("9"))
        if resident.all():
            return card_tokens(numbers, self._tokeniser), warned
        table = np.zeros((len(faults), 16), np.uint8)
        if resident.any():
            table[resident] = card_tokens(numbers.chosen(resident), self._tokeniser)
        rest = np.flatnonzero(~resident & (types > 0))
        if len(rest):
            rest = rest[~self._old(numbers.chosen(rest), types[rest], rest, table)]
        if len(rest):
            columns = [named[name].chosen(rest) for name in _COLUMNS]
            usual, told = self._usual(columns, types[rest], cards[rest]), faults[rest]
            spelled, warned[rest] = self._spelled(usual, columns, told)
            faults[rest], good = told, told == SOUND
            table[rest[good]] = tokens(list(compress(spelled, good)), self._tokeniser)
        return table, warned

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
            table[rows[old]] = card_tokens(cards.chosen(right), self._tokeniser)
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
