"""Bytes put together from many places of one source, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from loader.table import Numbers, Octets


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

    def put(self, places: Numbers, starts: Numbers | int, sizes: Numbers | int) -> None:
        """Nothing; these pieces are in the source at `starts`."""
        self._starts[places] = starts
        self._sizes[places] = sizes

    def join(self, bounds: Sequence[int]) -> list[bytes]:
        """The pieces between each two of these bounds, joined."""
        first, last = bounds[0], bounds[-1]
        sizes = self._sizes[first:last]
        ends = np.cumsum(sizes)
        places = np.repeat(self._starts[first:last] - ends + sizes, sizes)
        places += np.arange(len(places))
        joined = self._source().take(places).tobytes()
        cuts = [0, *(ends[bound - first - 1] for bound in bounds[1:])]
        return [joined[at:end] for at, end in pairwise(cuts)]

    def _source(self) -> Octets:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]
