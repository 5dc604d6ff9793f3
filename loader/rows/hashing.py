"""The hashes of whole columns: tokens of ID cards, entry hashes, digests, tokens of Han names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loader.columns.columns import Column
from loader.columns.pieces import Bools, Numbers, Octets, Pieces, octets_of, windows
from roster.documents.placeholders import is_plain_han
from roster.documents.tables import CARD_BYTES, card_table, token_table
from roster.documents.tokeniser import Tokeniser

_HAN_BYTES = 15
"""Five characters: surnames and given names have no more."""
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FA5
_OF_THREE = 0xE0
"""How UTF-8 begins a character of three bytes."""
_KNOWN_BITS = 18
_MORE = np.uint64(1 << 32)
_FACTORS = np.array((0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F), np.uint64)


def card_tokens(cards: Column, tokeniser: Tokeniser) -> Octets:
    """The tokens of these ID cards' numbers of 18 characters, in shape (n, 16)."""
    return card_table(tokeniser, cards.windows(0, CARD_BYTES))


def tokens(numbers: Sequence[str], tokeniser: Tokeniser) -> Octets:
    """The tokens of these documents."""
    return token_table(tokeniser, [number.encode() for number in numbers])


def entry_hashes(ids: Column, codes: Octets, tokeniser: Tokeniser) -> Octets:
    """The hashes of entries of these lists, in shape (n, 6)."""
    found = np.empty((len(ids), 6), np.uint8)
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        mine = np.flatnonzero(codes == code)
        chosen = ids if len(mine) == len(ids) else ids.chosen(mine)
        found[mine] = octets_of(tokeniser.many("entry", chosen.cut(), bytes((0, code))))
    return found


def digests(texts: Pieces, tokeniser: Tokeniser) -> Octets:
    """The digests of these texts, in shape (n, 8)."""
    found = np.empty((len(texts.sizes), 8), np.uint8)
    for size in np.flatnonzero(np.bincount(texts.sizes)).tolist():
        same = np.flatnonzero(texts.sizes == size)
        inputs = windows(texts.source, size)[texts.starts[same]].tolist()
        found[same] = octets_of(tokeniser.many("digest", inputs))
    return found


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
