"""Bytes put together from many places, all at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Bools = NDArray[np.bool_]


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


def woven(columns: Sequence[Pieces]) -> Pieces:
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
    """Nothing; the pieces are at these places.

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
