"""Cells and other bytes as places in a text, so that whole columns are read or written at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Bools = NDArray[np.bool_]
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


class Pieces(msgspec.Struct, frozen=True):
    """Some pieces of a source."""

    source: bytes | Octets
    starts: Numbers
    sizes: Numbers

    def chosen(self, which: Numbers | Bools) -> Pieces:
        """Some of them only, or in another order."""
        return Pieces(self.source, self.starts[which], self.sizes[which])

    def where(self, which: Bools) -> Pieces:
        """These pieces, empty ones but where it is said."""
        return Pieces(self.source, self.starts, self.sizes * which)

    def replaced(self, which: Numbers, others: Pieces) -> Pieces:
        """These pieces, but others at some places."""
        source = np.concatenate([_octets(self.source), _octets(others.source)])
        starts, sizes = self.starts.copy(), self.sizes.copy()
        starts[which] = others.starts + (len(source) - len(others.source))
        sizes[which] = others.sizes
        return Pieces(source, starts, sizes)


def pieces_of(parts: Sequence[bytes]) -> Pieces:
    """The parts as pieces."""
    sizes = sizes_of(parts)
    return Pieces(b"".join(parts), np.cumsum(sizes) - sizes, sizes)


def repeated(part: bytes, count: int) -> Pieces:
    """So many times the same."""
    return Pieces(part, np.zeros(count, np.int64), np.full(count, len(part)))


def rows_of(table: Octets, part: slice = slice(None)) -> Pieces:
    """The rows of a table, or a part of each."""
    at, end, _ = part.indices(table.shape[1])
    starts = np.arange(at, table.size, table.shape[1])
    return Pieces(table.reshape(-1), starts, np.full(len(table), end - at))


def concatenated(columns: Sequence[Pieces]) -> Pieces:
    """The pieces of each row joined: the first of every column, the second, and so on."""
    sizes = np.add.reduce([pieces.sizes for pieces in columns])
    ends = np.cumsum(sizes)
    starts = to = ends - sizes
    into = np.empty(int(sizes.sum()), np.uint8)
    for pieces in columns:
        put(into, to, pieces)
        to = to + pieces.sizes
    return Pieces(into, starts, sizes)


def put(into: Octets, to: Numbers, pieces: Pieces) -> None:
    """Copy the pieces to these places.

    Those of one size are copied at once, which takes a third of what single bytes take.
    """
    for size in np.flatnonzero(np.bincount(pieces.sizes)).tolist():
        if size:
            same = np.flatnonzero(pieces.sizes == size)
            starts = pieces.starts[same]
            windows(into, size)[to[same]] = windows(pieces.source, size)[starts]


def windows(octets: bytes | Octets, size: int) -> NDArray[np.void]:
    """All pieces of a size."""
    return np.ndarray((len(octets) - size + 1,), f"V{size}", octets, strides=(1,))


def words_at(table: Octets, at: int) -> NDArray[np.uint64]:
    """Eight bytes of each row of a table as a number, big-endian."""
    return np.ascontiguousarray(table[:, at : at + 8]).view(">u8").reshape(-1).astype(np.uint64)


def octets_of(parts: Sequence[bytes]) -> Octets:
    """Some bytes of one length as a table, in shape (n, length)."""
    return np.frombuffer(bytearray().join(parts), np.uint8).reshape(len(parts), -1)


def _octets(source: bytes | Octets) -> Octets:
    return np.frombuffer(source, np.uint8) if isinstance(source, bytes) else source


def sizes_of(parts: Sequence[bytes]) -> Numbers:
    """How long each is."""
    return np.fromiter(map(len, parts), np.int64, len(parts))


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
        """Give long cells words that no text has, equal where they are equal."""
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
