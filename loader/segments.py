"""Bytes put together from many places of one source, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from loader.table import Numbers, Octets, gathered, sizes_of


class Segments:
    """Which pieces of a source follow one another."""

    def __init__(self, count: int) -> None:
        """So many pieces, none of which is said yet."""
        self._starts = np.zeros(count, np.int64)
        self._sizes = np.zeros(count, np.int64)
        self._parts: list[Octets] = []
        self._end = 0

    def add(self, part: bytes | Octets) -> int:
        """Where in the source this part is now."""
        octets = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part.reshape(-1)
        self._parts.append(octets)
        self._end += len(octets)
        return self._end - len(octets)

    def put(self, places: Numbers | slice, starts: Numbers | int, sizes: Numbers | int) -> None:
        """Nothing; these pieces are in the source at `starts`."""
        self._starts[places] = starts
        self._sizes[places] = sizes

    def join(self, bounds: Sequence[int]) -> list[bytes]:
        """The pieces between each two of these bounds, joined."""
        first, last = bounds[0], bounds[-1]
        sizes = self._sizes[first:last]
        joined = gathered(self._source(), self._starts[first:last], sizes).tobytes()
        ends = np.cumsum(sizes)
        cuts = [0, *(ends[bound - first - 1] for bound in bounds[1:])]
        return [joined[at:end] for at, end in pairwise(cuts)]

    def rows(self, count: int) -> Pieces:
        """Each `count` pieces joined."""
        joined = gathered(self._source(), self._starts, self._sizes).tobytes()
        sizes = self._sizes.reshape(-1, count).sum(1)
        return Pieces(joined, np.cumsum(sizes) - sizes, sizes)

    def pieces(self) -> Pieces:
        """The pieces where they are."""
        return Pieces(self._source().tobytes(), self._starts, self._sizes)

    def _source(self) -> Octets:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


class Pieces(msgspec.Struct, frozen=True):
    """One piece of some bytes for each row."""

    source: bytes
    starts: Numbers
    sizes: Numbers

    def chosen(self, which: Numbers) -> Pieces:
        """The pieces at these places."""
        return Pieces(self.source, self.starts[which], self.sizes[which])

    def replaced(self, which: Numbers, others: Pieces) -> Pieces:
        """These pieces, but others at some places."""
        segments = Segments(len(self.starts))
        segments.put(slice(None), self.starts + segments.add(self.source), self.sizes)
        segments.put(which, others.starts + segments.add(others.source), others.sizes)
        return segments.pieces()


def pieces_of(parts: Sequence[bytes]) -> Pieces:
    """The parts as pieces."""
    sizes = sizes_of(parts)
    return Pieces(b"".join(parts), np.cumsum(sizes) - sizes, sizes)


def rows_of(table: Octets) -> Pieces:
    """The rows of a table as pieces."""
    sizes = np.full(len(table), table.shape[1], np.int64)
    return Pieces(table.tobytes(), np.arange(len(table)) * table.shape[1], sizes)


def woven(columns: Sequence[Pieces]) -> Pieces:
    """The pieces of each row joined: the first of every column, the second, and so on."""
    count = len(columns)
    segments = Segments(count * len(columns[0].starts))
    for index, pieces in enumerate(columns):
        at = segments.add(pieces.source)
        segments.put(slice(index, None, count), pieces.starts + at, pieces.sizes)
    return segments.rows(count)
