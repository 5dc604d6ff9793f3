"""Columns of names as a content has them: the tokens of one name or several, sorted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from loader.columns import cells
from loader.columns.columns import Column
from loader.columns.faults import FAULT, blame
from loader.columns.parts import Cache, Known
from loader.columns.pieces import Numbers, Octets, Pieces, rows_of, woven
from loader.columns.texts import Numbered, bare
from loader.rows.hashing import HanNames
from roster.documents.tokeniser import Tokeniser
from roster.records.bounds import NAMES_MAX
from roster.records.content import pack_content
from roster.records.entry import Content, NameToken

_BAR = ord("|")
_TOKEN_BITS = 32


class Names:
    """Packs the names of rows."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        """Nothing is known yet."""
        self._hashed = lru_cache(maxsize=1 << 16)(tokeniser.names)
        self._han = HanNames(tokeniser)
        self._packed = Cache(lambda text: pack_content(Content("", self._tokens(text)), {})[3:])
        self._others = Known(self._tokens)

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
            numbered = Numbered(names.text).holding(names.chosen(several))
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
        return woven([counts, Pieces(octets, np.cumsum(sizes) - sizes, sizes)])

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
    return bare(Column(names.text, starts, ends - starts))
