"""What a filter has read: which positions of which branch, and when they were applied.

After a rewind the same seq may name another change. Only a filter that has read the lost
position itself, mark and all, is a witness of what was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.records.position import Position

MOST = 4_096
"""Entries of a partition's log that are remembered at least: 40 kB, and twice as many at most."""
HISTORIES = 4
_SIZE = 10
_MARK, _AT = slice(6, 10), slice(34, 40)
"""Where mark and time stand in a log entry behind its seq."""


class _Part:
    """A stretch of one history: mark 4 and time u48 of each position from `first` on."""

    def __init__(self, position: Position) -> None:
        self.history = position.history
        self.first = position.seq
        self.read = bytearray(position.mark + bytes(_SIZE - len(position.mark)))

    def at(self, position: Position) -> bytes:
        """Mark and time of what was read at this place; nothing where it was not."""
        if position.history != self.history or position.seq < self.first:
            return b""
        start = (position.seq - self.first) * _SIZE
        return bytes(self.read[start : start + _SIZE])

    def has(self, position: Position) -> bool:
        found = self.at(position)
        return bool(found) and found[:4] == position.mark

    def shorten(self) -> None:
        surplus = len(self.read) // _SIZE - MOST
        if surplus > MOST:
            del self.read[: surplus * _SIZE]
            self.first += surplus


class Trail:
    """The positions that one filter has read, the oldest forgotten in time."""

    def __init__(self, position: Position) -> None:
        """The filter includes `position`."""
        self._parts = [_Part(position)]

    def start(self, position: Position) -> None:
        """Nothing; the filter goes on from here, in another history."""
        self._parts = [*self._parts[1 - HISTORIES :], _Part(position)]

    def extend(self, logged: Iterable[bytes]) -> None:
        """Nothing; these entries behind the last position, as `Tail.logged` has them, are read."""
        part = self._parts[-1]
        part.read += b"".join(data[_MARK] + data[_AT] for data in logged)
        part.shorten()

    def has(self, position: Position) -> bool:
        """Whether this very position was read; False where that is not known any more."""
        return any(part.has(position) for part in self._parts)

    def applied_ms(self, position: Position) -> int:
        """When this position was applied, 0 where that is not known."""
        for part in self._parts:
            if part.has(position):
                return int.from_bytes(part.at(position)[4:])
        return 0

    def follow(self, older: Trail) -> None:
        """Nothing; what the filter before this one has read counts, where this goes on from it."""
        mine = self._parts[0]
        for part in older._parts:
            start = (mine.first - part.first) * _SIZE
            same = part.history == mine.history and part.read[start : start + 4] == mine.read[:4]
            if start > 0 and same:
                mine.read[:0] = part.read[:start]
                mine.first = part.first
                return
