"""Columns of documents as tokens: the usual shapes at once, each other number by its law."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import msgspec
import numpy as np

from loader import cells
from loader.cells import Skipped, Unusable
from loader.columns import Column
from loader.extras import Named
from loader.hashing import card_tokens, tokens
from loader.numbers import NINE, ZERO, are_cards, whole_cards
from loader.parts import Known, Table
from loader.pieces import Bools, Numbers, Octets
from roster.errors import InvalidInput
from roster.identity import Document, normalise
from roster.issuers import STATE_OF
from roster.tokeniser import Tokeniser

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

    prefixes: list[str]
    numbers: Column


class Documents:
    """Makes tokens of the columns of a document."""

    def __init__(self, tokeniser: Tokeniser, latest_birth: str) -> None:
        """`latest_birth` as `normalise` takes it."""
        self._tokeniser = tokeniser
        self._latest_birth = latest_birth
        self._types = Table(lambda text: _TYPES[text.strip().lower()])
        self._passports = Known(_before_passports)

    def tokens(self, named: Named, odd: Bools) -> tuple[Octets, Bools]:
        """Of each row, and which rows somebody has to be warned of: a check digit is wrong."""
        numbers, warned = named["document_number"], np.zeros(len(odd), np.bool_)
        types = self._types.of(named["document_type"], odd)
        cards = are_cards(numbers, self._latest_birth)
        resident = cards & (types == _RESIDENT) & (numbers.windows(0, 1)[:, 0] != ord("9"))
        if resident.all():
            return card_tokens(numbers, self._tokeniser), warned
        table = np.zeros((len(odd), 16), np.uint8)
        if resident.any():
            table[resident] = card_tokens(numbers.chosen(resident), self._tokeniser)
        rest = np.flatnonzero(~resident & ~odd)
        if len(rest):
            rest = rest[~self._old(numbers.chosen(rest), types[rest], rest, table)]
        if len(rest):
            columns = [named[name].chosen(rest) for name in _COLUMNS]
            usual = self._usual(columns, types[rest], cards[rest])
            spelled, warned[rest] = self._spelled(usual, columns)
            odd[rest] = [number is None for number in spelled]
            table[rest] = tokens([number or "" for number in spelled], self._tokeniser)
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
            found, which = self._passports.found(columns[2], np.zeros_like(passports))
            chinese = np.array([_is_chinese(prefix) for prefix in found])[which]
            series = (sizes == _CHINESE_PLACES) & _CHINESE_LETTERS[octets[:, 0]]
            series &= letters - _CHINESE_LETTERS[octets[:, 1]] == 1
            abroad = np.isin(sizes, _PLACES_ABROAD) & (_LETTERS[octets].sum(1) == letters)
            abroad &= (octets == ord("X")).sum(1) <= _X_MAX
            passports &= np.where(chinese, series, abroad)
            prefixes = np.where(passports, np.array([p or "" for p in found], object)[which], "")
        for these, prefix in ((cards, "P:"), (hk_macao, "H:"), (taiwan, "T:")):
            prefixes[these] = prefix
        kept = np.where(hk_macao, 9, np.where(taiwan, 8, sizes))
        return _Usual(prefixes.tolist(), Column(numbers.text, numbers.starts, kept))

    def _spelled(
        self, usual: _Usual, columns: Sequence[Column]
    ) -> tuple[list[str | None], list[bool]]:
        """The canonical numbers, None for those that are none, and which are not valid."""
        found: list[str | None] = list(map(add, usual.prefixes, usual.numbers.texts()))
        wrong = [False] * len(found)
        for index, prefix in enumerate(usual.prefixes):
            if not prefix:
                cell = [column.at(index) for column in columns]
                try:
                    found[index], valid = cells.document(("", "", *cell), self._latest_birth)
                except (Unusable, Skipped):
                    found[index], valid = None, True
                wrong[index] = not valid
        return found, wrong


def _before_passports(issuer: str) -> str:
    """What stands before the numbers of passports; raises ValueError."""
    try:
        number = normalise(Document("passport", "0", issuer)).number
    except InvalidInput as exc:
        raise ValueError from exc
    return number[:-1]


def _is_chinese(prefix: str | None) -> bool:
    return prefix is not None and STATE_OF.get(prefix.split(":")[1]) == "CHN"
