"""A block's cells as places in its bytes, so that whole columns are judged at once."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.pieces import Bools, Numbers, Octets, windows

Words = NDArray[np.uint64]

SHORT_BYTES = 64
"""Longer cells are seldom: they are looked at one by one."""
AHEAD_BYTES = 32
"""What may be read before a cell, and belongs to others."""

_WORD = np.dtype("<u8")
_MASKS = np.frombuffer(
    b"".join(bytes([255]) * size + bytes(SHORT_BYTES - size) for size in range(SHORT_BYTES + 1)),
    _WORD,
).reshape(SHORT_BYTES + 1, -1)
"""By size: the bits of so many bytes."""
_FACTORS = np.frombuffer(blake2b(b"a factor a word", digest_size=SHORT_BYTES).digest(), _WORD) | 1
_SLOT_BITS, _ROUNDS = 16, 16


class Column(msgspec.Struct, frozen=True):
    """Cells of UTF-8 without NUL; `text` goes on before the first and behind the last."""

    text: bytes
    starts: Numbers
    sizes: Numbers

    def __len__(self) -> int:
        """How many cells it has."""
        return len(self.starts)

    def at(self, index: int) -> str:
        """One cell's text."""
        start = int(self.starts[index])
        return self.text[start : start + int(self.sizes[index])].decode()

    def chosen(self, which: Numbers | Bools) -> Column:
        """Some of the cells."""
        return Column(self.text, self.starts[which], self.sizes[which])

    def cut(self) -> list[bytes]:
        """The cells."""
        most = int(self.sizes.max(initial=0))
        if not 0 < most <= SHORT_BYTES:
            places = zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
            return [self.text[start : start + size] for start, size in places]
        # numpy leaves out NULs at the end: here they are no text's.
        words = self.words(most)
        cells: list[bytes] = words.view(f"S{words.shape[1] * 8}").reshape(-1).tolist()
        return cells

    def words(self, most: int) -> Words:
        """The first bytes of each cell, at least `most` of them, with NULs behind the cell."""
        count = -(-most // 8)
        words = self.windows(0, count * 8).view(_WORD)
        words &= _MASKS[:, :count][np.minimum(self.sizes, SHORT_BYTES)]
        return words

    def windows(self, offset: int | Numbers, size: int) -> Octets:
        """So many bytes of the text from `offset` in each cell on, in shape (n, size)."""
        found: Octets = windows(self.text, size)[self.starts + offset].view(np.uint8)
        return found.reshape(-1, size)

    def distinct(self) -> tuple[Column, Numbers]:
        """Cells among which every text is, mostly once, and which of them each cell is."""
        most = int(self.sizes.max())
        if most == 0:
            return self.chosen(np.zeros(1, np.int64)), np.zeros(len(self), np.int64)
        words = self.words(min(most, SHORT_BYTES))
        if most > SHORT_BYTES:
            self._number_long(words)
        models = _models(words)
        own = models == np.arange(len(self))
        ranks = np.cumsum(own) - 1
        return self.chosen(own), ranks[models]

    def _number_long(self, words: Words) -> None:
        """Nothing; long cells have as words what no text has, the same if they are the same."""
        first: dict[str, int] = {}
        for index in np.flatnonzero(self.sizes > SHORT_BYTES).tolist():
            words[index] = 0
            words[index, -1] = first.setdefault(self.at(index), index) + 1

    def texts(self) -> list[str]:
        """The cells' texts."""
        return [cell.decode() for cell in self.cut()]


class Columns(msgspec.Struct, frozen=True):
    """The cells of some rows, `starts` and `sizes` in shape (columns, rows)."""

    text: bytes
    starts: Numbers
    sizes: Numbers

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.starts[0])

    def column(self, index: int | None) -> Column:
        """One of the columns; empty cells where there is none."""
        if index is None:
            nothing = np.zeros(len(self), np.int64)
            return Column(self.text, nothing + AHEAD_BYTES, nothing)
        return Column(self.text, self.starts[index], self.sizes[index])

    def row(self, index: int) -> list[str]:
        """The cells of one row."""
        return Column(self.text, self.starts[:, index], self.sizes[:, index]).texts()

    def rows(self, which: Numbers) -> Iterator[tuple[str, ...]]:
        """The cells of some rows."""
        columns = map(self.column, range(len(self.starts)))
        return zip(*(column.chosen(which).texts() for column in columns), strict=True)


def column_of(table: Octets) -> Column:
    """The rows of a table as cells."""
    count, size = table.shape
    text = b"".join((bytes(AHEAD_BYTES), table.tobytes(), bytes(SHORT_BYTES)))
    return Column(text, np.arange(count) * size + AHEAD_BYTES, np.full(count, size))


def _models(words: Words) -> Numbers:
    """For each row one that is the same and stands for it, and for itself.

    Rows meet in slots, by a hash. Those that meet another row than their like there look again;
    those that still do (somebody may have chosen them) stand for themselves.
    """
    if are_same(words, words[:1]).all():
        return np.zeros(len(words), np.int64)
    return _met(words, words @ _FACTORS[: words.shape[1]], _ROUNDS)


def _met(words: Words, hashes: Words, rounds: int) -> Numbers:
    slots, own = np.empty(1 << _SLOT_BITS, np.int64), np.arange(len(words))
    if not rounds:
        return own
    places = (hashes >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
    slots[places] = own
    models = slots[places]
    apart = np.flatnonzero(~are_same(words, words.take(models, 0)))
    if len(apart):
        met = _met(words[apart], hashes[apart] * _FACTORS[0], rounds - 1)
        models[apart] = apart[met]
    return models


def are_same(words: Words, others: Words) -> Bools:
    """Which rows of words are the same."""
    differs = words[:, 0] ^ others[:, 0]
    for column in range(1, words.shape[1]):
        differs |= words[:, column] ^ others[:, column]
    same: Bools = differs == 0
    return same
